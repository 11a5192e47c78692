package proc

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent makes the kernel kill the child when its parent is gone, so
// that a test binary that ran into its timeout leaves no server behind.
func dieWithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}

func lockThread() { runtime.LockOSThread() }
