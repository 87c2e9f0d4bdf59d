// Command mtlsplan makes an output directory match a spec: a certificate
// authority, its users' keys, certificates and .p12 files, the CRL, and the
// NGINX site that lets only those users in.
package main

import "os"

func main() { os.Exit(live(os.Stdout, released)) }
