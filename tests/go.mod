module github.com/quadrille-io/quadrille/tests

go 1.26.0

require (
	github.com/quadrille-io/quadrille/pkg v0.0.0
	github.com/quadrille-io/quadrille/proto v0.0.0
	github.com/quadrille-io/quadrille/services v0.0.0
)

replace (
	github.com/quadrille-io/quadrille/pkg => ../pkg
	github.com/quadrille-io/quadrille/proto => ../proto
	github.com/quadrille-io/quadrille/services => ../services
)

exclude (
	github.com/Azure/go-ansiterm v0.0.0-20261006220739-8c912ac31dd4
	golang.org/x/exp v0.0.0-20261011100332-faecfb24eb49
)
