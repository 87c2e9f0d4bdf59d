# easy-rsa's own commands in a loop: key, request, certificate, .p12. $1 fresh,
# $2 users, $3 ec; works in the current directory with the easyrsa in PEER.
pass=pass:0123456789abcdef
export EASYRSA_PKI=$PWD/pki EASYRSA_BATCH=1 EASYRSA_SILENT=1 EASYRSA_DN=cn_only EASYRSA_ALGO=ec EASYRSA_CURVE=prime256v1
run() { "$PEER" "$@" >>easyrsa.log 2>&1; }
run init-pki
EASYRSA_REQ_CN='bench CA' run --passin="$pass" --passout="$pass" build-ca
for ((i = 0; i < $2; i++)); do
	u=$(printf 'user%06d' "$i")
	run --passin="$pass" --passout="$pass" build-client-full "$u"
	run --passin="$pass" --passout="$pass" export-p12 "$u"
done
