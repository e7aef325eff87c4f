// Command quadrille is the one binary: `quadrille up` runs everything, the other commands speak to what
// runs. `quadrille --help` lists them.
package main

import (
	"os"

	"github.com/quadrille-io/quadrille/services/quadrille/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
