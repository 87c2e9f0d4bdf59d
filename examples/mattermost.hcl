# Mattermost behind NGINX: only people with a certificate reach the server.
#
#   mtlsplan plan  examples/mattermost.hcl    shows what would be done
#   mtlsplan apply examples/mattermost.hcl    does it; a second run changes nothing
#
# All passphrases are generated, so there is no prompt. They are in secrets/ of
# the output directory, one in each file. Send a person the .p12 one way and its
# passphrase another.

# Where everything goes, relative to this file.
output = "../build/mattermost"

# The authority that signs the users' certificates. NGINX trusts it for that
# and for nothing else; the server's own certificate comes from elsewhere.
ca "mattermost" {
  subject {
    country             = "US"
    province            = "Maryland"
    locality            = "Meade"
    organization        = "Mattermost"
    organizational_unit = "Smarttotem"
    common_name         = "example.mattermost.com"
    email               = "admin@mattermost.com"
  }

  # The defaults: an RSA key of 4096 bits, ten years, a generated passphrase,
  # and a revocation list (CRL) of 30 days.
}

# One block for each person or device. The file names and the certificate's
# common name come from the label, the rest of the subject from the CA. The
# address goes into the subject, where Mattermost looks for it, and into the
# subject's alternative names, where other programs do.
user "mmuser" {
  email = "mmuser@mattermost.com"
}

# The site for NGINX, written to nginx/mattermost in the output directory.
nginx "mattermost" {
  server_name     = ["example.mattermost.com"]
  upstream        = ["127.0.0.1:8065"]
  certificate     = "/etc/letsencrypt/live/example.mattermost.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/example.mattermost.com/privkey.pem"

  # The path of the CA certificate on the proxy's host. Without this the site
  # names the file in the output directory.
  client_ca = "/opt/mattermost/config/ca.mattermost.crt"
}
