package embed

import "syscall"

// serverAttr: macOS knows no parent-death signal. A server that outlives its
// parent is found by the next start, which stops it first.
func serverAttr(cred *syscall.Credential, _ syscall.Signal) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: cred}
}
