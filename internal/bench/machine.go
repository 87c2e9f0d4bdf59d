package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// Machine is what the figures were measured on.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"`
	Memory     string `json:"memory"`
	FileSystem string `json:"file_system"` // of the work directory
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	OpenSSL    string `json:"openssl"`
}

func describeMachine(l *lab) Machine {
	fileSystem := answer("stat", "-f", "-c", "%T", l.dir)
	if l.image {
		fileSystem = "ext4 in a file of its own"
	}
	return Machine{
		CPU:        field("/proc/cpuinfo", "model name"),
		Cores:      runtime.NumCPU(),
		Memory:     gib(field("/proc/meminfo", "MemTotal")),
		FileSystem: fileSystem,
		Kernel:     answer("uname", "-sr"),
		Go:         runtime.Version(),
		OpenSSL:    answer("openssl", "version"),
	}
}

func (m Machine) String() string {
	return fmt.Sprintf("%d cores (%s), %s, %s on %s, %s, %s", m.Cores, m.CPU, m.Memory, m.FileSystem, m.Kernel, m.Go, m.OpenSSL)
}

// field is the value of the first line "name : value" of a file of /proc.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// gib turns "25279392 kB" into "24 GiB".
func gib(text string) string {
	var kib float64
	if _, err := fmt.Sscanf(text, "%f kB", &kib); err != nil {
		return text
	}
	return fmt.Sprintf("%.0f GiB", kib/1024/1024)
}

// answer is the first line that a program prints.
func answer(argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	line, _, _ := strings.Cut(string(out), "\n")
	if err != nil || line == "" {
		return "no " + argv[0]
	}
	// "OpenSSL 3.0.19 27 Jan 2026 (Library: …)"
	line, _, _ = strings.Cut(line, " (")
	return line
}
