package recovery_test

import (
	"testing"

	"github.com/socketcluster-go/socketcluster/internal/compat/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }
