# The guide's commands in a shell loop: four processes a user. $1 fresh, $2 users,
# $3 ec or rsa; works in the current directory with the openssl in PEER.
pass=pass:0123456789abcdef
key() { # FILE BITS
	if [ "$3" = rsa ]; then "$PEER" genrsa -aes256 -passout "$pass" -out "$1" "$2" 2>/dev/null
	else "$PEER" genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass "$pass" -out "$1" 2>/dev/null; fi
}
key ca.key 4096 "$3"
"$PEER" req -new -x509 -days 3650 -key ca.key -passin "$pass" -subj '/O=Bench/CN=bench CA' -out ca.crt
for ((i = 0; i < $2; i++)); do
	u=$(printf 'user%06d' "$i")
	key "$u.key" 2048 "$3"
	"$PEER" req -new -key "$u.key" -passin "$pass" -subj "/O=Bench/CN=$u/emailAddress=$u@example.com" -out "$u.csr"
	"$PEER" x509 -req -days 365 -in "$u.csr" -CA ca.crt -CAkey ca.key -passin "$pass" -set_serial $((i + 16)) -out "$u.crt" 2>/dev/null
	"$PEER" pkcs12 -export -inkey "$u.key" -passin "$pass" -in "$u.crt" -certfile ca.crt -passout "$pass" -out "$u.p12"
done
