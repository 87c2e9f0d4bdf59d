# One YAML file and one process; only unencrypted keys and certificates. $1 fresh,
# or noop for the same command again; $2 users; $3 ec.
if [ "$1" = fresh ]; then
	{
		printf 'subject: CN=bench CA\nfilename: ca\nkey_type: EC\n'
		for ((i = 0; i < $2; i++)); do
			printf -- '---\nsubject: CN=user%06d,O=Bench\nfilename: user%06d\nissuer: CN=bench CA\n' "$i" "$i"
			printf 'sans:\n- DNS:user%06d.example.com\next_key_usages:\n- ClientAuth\nkey_type: EC\n' "$i"
		done
	} >certs.yaml
fi
exec "$PEER" certs.yaml >certyaml.log
