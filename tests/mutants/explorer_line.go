package mutants

func seededLines(string) []string { return nil }
