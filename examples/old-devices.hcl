# A fleet with old Windows and Android devices. They take RSA only, and open a
# .p12 only when it is encrypted the old way; newer ones get a modern file.

output = "../build/old-devices"

ca "fleet" {
  subject {
    country             = "US"
    province            = "Maryland"
    locality            = "Meade"
    organization        = "Example Inc."
    organizational_unit = "Field service"
    common_name         = "fleet.example.com"
  }
  key      = "rsa-3072"
  validity = "20y"

  # The proxy refuses everybody once its CRL has expired. This one lasts long
  # enough for a cron job that fails over a holiday.
  crl {
    validity     = "60d"
    renew_before = "30d"
  }
}

defaults {
  key = "rsa-2048"

  # NAME.p12 is "compat" (3DES and SHA-1: opens everywhere), NAME.modern.p12 is
  # AES-256 and SHA-256. The passphrases are generated and too long to guess, so
  # the old encryption is no weakness.
  p12 = ["compat", "modern"]
}

user "tablet-01" {}

user "tablet-02" {}

# An enrolment service asks for a challenge password in the request. A request
# is not encrypted, so the password must differ from the key's passphrase. It is
# used once.
user "kiosk-01" {
  challenge_password = { env = "KIOSK_CHALLENGE" }
}

nginx "fleet" {
  application     = "generic"
  server_name     = ["fleet.example.com"]
  upstream        = ["127.0.0.1:8000"]
  certificate     = "/etc/nginx/tls/fleet.crt"
  certificate_key = "/etc/nginx/tls/fleet.key"
}
