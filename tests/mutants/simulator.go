package mutants

// simulatorMutants take out the rules that the simulator proves.
var simulatorMutants = []Mutant{}
