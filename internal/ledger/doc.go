// Package ledger is the CA database as a value: what was issued and what was
// revoked. It reads and writes index.txt, index.txt.attr and crlnumber in the
// formats of `openssl ca`, issued.pem, which keeps every certificate itself, and
// rendered, which keeps the checksum of every rendered file. Bytes go in and
// values come out; it touches no disk.
//
// A [Ledger] answers questions. Only its [Writer] changes it, and only the
// committing part of a run has one; whoever asks what would be so after a change
// asks [Ledger.With].
package ledger
