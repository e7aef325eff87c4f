package service_test

const childVariable = "WEBHOOK_TEST_CHILD"

func child() {}
