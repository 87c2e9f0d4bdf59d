# A company whose people are in a list that another system writes, and whose
# devices are in one that is kept by hand.

output = "../build/roster"

ca "company" {
  subject {
    country      = "DE"
    locality     = "Berlin"
    organization = "Example GmbH"
    common_name  = "Example company CA"
    email        = "it@example.com"
  }
  key = "ecdsa-p384"
}

# What the lists do not say of somebody holds for all alike.
defaults {
  validity = "180d"
}

# Each row is a user, each column an attribute of a user block. An empty cell
# says nothing. Who is no longer in the list is revoked by the next apply.
roster "staff" {
  file = "staff.csv"
}

# The same as YAML. JSON can be read, too.
roster "devices" {
  file = "devices.yaml"
}

# Whoever is in neither list can still have a block.
user "auditor" {
  email    = "auditor@example.org"
  validity = "14d"

  subject {
    organization = "Example Audit KG"
  }
}

# An export that was cut short must not lock everybody out: a run that would
# leave more users than this without a certificate is refused whole. A list that
# is missing, empty or malformed is an error in any case.
guard {
  max_revocations = 2
}

nginx "intranet" {
  application     = "generic"
  server_name     = ["intranet.example.com"]
  upstream        = ["127.0.0.1:8080"]
  certificate     = "/etc/letsencrypt/live/intranet.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/intranet.example.com/privkey.pem"
}
