package mutants

// raceMutants take out the rules that attacks in parallel prove (tests/races).
var raceMutants = []Mutant{}
