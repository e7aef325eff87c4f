package embed

import (
	"os/exec"
	"strconv"
	"strings"
)

// serversOn returns the pid of the postmaster on pgdata, told by its command
// line. Backends do not carry the folder's name there.
func serversOn(pgdata string) ([]int, error) {
	pf, err := readPidFile(pgdata)
	if err != nil {
		return nil, nil
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pf.pid)).Output()
	if err != nil {
		return nil, nil // no such process
	}
	if strings.Contains(string(out), pgdata) {
		return []int{pf.pid}, nil
	}
	return nil, nil
}
