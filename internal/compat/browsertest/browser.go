package browsertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Timeout bounds each single step. It is far above what a step needs, so that
// only something that hangs meets it.
const Timeout = 20 * time.Second

// pollInterval is how often a condition is looked at again.
const pollInterval = 25 * time.Millisecond

const installHint = "no Chromium found: install one (Debian: apt-get install chromium-headless-shell) or name its binary in CHROMIUM"

// flags switch off what a test does not need, above all what would let the
// browser talk to other hosts, and keep timers running in tabs that are not in
// front. Containers often run as root with a small /dev/shm, hence no sandbox
// and no shared memory there.
var flags = []chromedp.ExecAllocatorOption{
	chromedp.Headless,
	chromedp.NoSandbox,
	chromedp.NoFirstRun,
	chromedp.DisableGPU,
	chromedp.Flag("disable-quic", true),
	chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"),
	chromedp.Flag("disable-background-networking", true),
	chromedp.Flag("disable-component-update", true),
	chromedp.Flag("disable-sync", true),
	chromedp.Flag("disable-dev-shm-usage", true),
	chromedp.Flag("disable-background-timer-throttling", true),
	chromedp.Flag("disable-backgrounding-occluded-windows", true),
	chromedp.Flag("disable-renderer-backgrounding", true),
}

// chromium is the process of this test binary.
var chromium struct {
	mu      sync.Mutex
	inMain  bool
	ctx     context.Context // nil until it has been started
	stop    context.CancelFunc
	profile string
}

// Main runs the tests of a package that starts browsers, and ends the process
// behind them. TestMain calls it.
func Main(m *testing.M) {
	chromium.inMain = true
	code := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintf(os.Stderr, "end Chromium: %v\n", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// launch starts the process, if that has not been done yet.
func launch() (ctx context.Context, err error) {
	chromium.mu.Lock()
	defer chromium.mu.Unlock()
	if chromium.ctx != nil {
		return chromium.ctx, nil
	}
	if !chromium.inMain {
		return nil, errors.New("TestMain does not call browsertest.Main")
	}
	path, err := find()
	if err != nil {
		return nil, err
	}
	if chromium.profile, err = os.MkdirTemp("", "browsertest"); err != nil {
		return nil, err
	}
	opts := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path),
		chromedp.UserDataDir(chromium.profile),
	}, flags...)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, _ = chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil { // starts the process
		stopAllocator()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	chromium.ctx, chromium.stop = ctx, stopAllocator
	return ctx, nil
}

// stop ends the process. It insists on removing the profile, because helper
// processes of the browser may write into it for a moment after the browser
// itself has gone.
func stop() error {
	if chromium.ctx != nil {
		err := chromedp.Cancel(chromium.ctx)
		chromium.stop()
		if err != nil {
			return err
		}
	}
	for deadline := time.Now().Add(Timeout); ; time.Sleep(50 * time.Millisecond) {
		err := os.RemoveAll(chromium.profile)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// Browser is a profile of its own in the Chromium of this test binary.
type Browser struct {
	ctx context.Context
}

// Start makes a browser that ends with the test. It ends the test when no
// Chromium is installed.
func Start(t testing.TB) *Browser {
	t.Helper()
	process, err := launch()
	if err != nil {
		t.Fatal(err)
	}
	ctx, _ := chromedp.NewContext(process, chromedp.WithNewBrowserContext())
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // makes the profile
		t.Fatalf("start a browser: %v", err)
	}
	return &Browser{ctx: ctx}
}

// names are those of the programs, the best one first: one without windows needs half of
// the time.
var names = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

func find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return "", fmt.Errorf("CHROMIUM: %w", err)
		}
		return path, nil
	}
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New(installHint)
}
