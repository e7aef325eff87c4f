package host_test

import (
	"testing"

	"github.com/quadrille-io/quadrille/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
