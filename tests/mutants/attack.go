package mutants

// attackMutants take out the rules that forged and oversized requests prove.
var attackMutants = []Mutant{}
