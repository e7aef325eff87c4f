package floor

// Count is count, for tests that change what is counted.
var Count = count
