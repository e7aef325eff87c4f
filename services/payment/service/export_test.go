package service

// Notices is what OPERATORS are told.
var Notices = notices
