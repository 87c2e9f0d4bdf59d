package main

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
)

// A peer is another program that does the job, or a part of it. Each is driven
// by a shell script, as its users would: bash -c SCRIPT NAME SCENARIO N ALG, in
// the directory to work in, with PEER as the program.
type peer struct {
	name     string
	variable string // names the program where it is not found otherwise
	where    []string
	script   string
	program  string // as found
}

var (
	//go:embed peers/openssl.sh
	opensslScript string
	//go:embed peers/certyaml.sh
	certyamlScript string
	//go:embed peers/easyrsa.sh
	easyrsaScript string
	//go:embed peers/step.sh
	stepScript string
)

var peers = []peer{
	{name: "openssl loop", variable: "OPENSSL", where: []string{"openssl"}, script: opensslScript},
	{name: "certyaml", variable: "CERTYAML", where: []string{"certyaml"}, script: certyamlScript},
	{name: "easy-rsa", variable: "EASYRSA", where: []string{"easyrsa", "/usr/share/easy-rsa/easyrsa"}, script: easyrsaScript},
	{name: "step", variable: "STEP", where: []string{"step"}, script: stepScript},
}

// findPeer looks for a peer where its variable says, then on PATH.
func findPeer(name string) (peer, bool) {
	for _, p := range peers {
		if p.name != name {
			continue
		}
		where := p.where
		if said := os.Getenv(p.variable); said != "" {
			where = []string{said}
		}
		for _, w := range where {
			if path, err := exec.LookPath(w); err == nil {
				p.program = path
				return p, true
			}
		}
		return p, false
	}
	return peer{}, false
}

func (p peer) command(scenario string, n int, dir, alg string) command {
	return command{
		who:    p.name,
		argv:   []string{"bash", "-euo", "pipefail", "-c", p.script, p.name, scenario, fmt.Sprint(n), alg},
		env:    []string{"PEER=" + p.program},
		dir:    dir,
		writes: dir,
	}
}

// peerPrefix begins the names of the rows in which peers are compared.
const peerPrefix = "fresh EC beside "

// peerScenarios compares mtlsplan with every peer that is there.
func peerScenarios(n int) (list []scenario, lacking []string) {
	for _, p := range peers {
		found, ok := findPeer(p.name)
		if !ok {
			lacking = append(lacking, fmt.Sprintf("%s (put it on PATH, or name it in %s)", p.name, p.variable))
			continue
		}
		list = append(list, scenario{peerPrefix + p.name, n, func(l *lab, n int) ([]Series, []Check, error) {
			all, err := l.turns(3, 5, func(int) ([]command, error) {
				_, commands, err := freshPair(l, n, ecHead, "ec", workers)
				if err != nil {
					return nil, err
				}
				dir, err := l.fresh("peer")
				return append(commands, found.command("fresh", n, dir, "ec")), err
			})
			return all, nil, err
		}})
	}
	return list, lacking
}
