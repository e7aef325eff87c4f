package run

// Supervise is Main without the exit.
var Supervise = supervise
