# step's commands in a loop: four processes a user. $1 fresh, $2 users, $3 ec;
# works in the current directory with the step in PEER.
export STEPPATH=$PWD/.step
printf 0123456789abcdef >pass
run() { "$PEER" "$@" >/dev/null 2>>step.log; }
run certificate create 'bench CA' ca.crt ca.key --profile root-ca --kty EC --curve P-256 --password-file pass
for ((i = 0; i < $2; i++)); do
	u=$(printf 'user%06d' "$i")
	run certificate create "$u" "$u.csr" "$u.key" --csr --san "$u@example.com" --kty EC --curve P-256 --password-file pass
	"$PEER" certificate sign "$u.csr" ca.crt ca.key --password-file pass --not-after 8760h >"$u.crt" 2>>step.log
	# p12 would ask for the key's passphrase at a terminal, so it gets the decrypted key through a pipe.
	run certificate p12 "$u.p12" "$u.crt" <("$PEER" crypto key format --pem --pkcs8 --no-password --insecure --password-file pass "$u.key" 2>>step.log) \
		--ca ca.crt --password-file pass --force
done
