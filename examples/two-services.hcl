# One team, one CA, two services: Grafana and a wiki. Neither needs to know about
# certificates; NGINX lets only the team in.

output = "../build/two-services"

ca "team" {
  subject {
    country      = "DE"
    locality     = "Berlin"
    organization = "Example GmbH"
    common_name  = "Example operations CA"
    email        = "ops@example.com"
  }

  # All of this team's browsers are recent: an elliptic curve is enough, and
  # faster than RSA.
  key      = "ecdsa-p384"
  validity = "5y"
}

# Defaults for every user. A user's own block overrides them.
defaults {
  validity     = "180d"
  renew_before = "30d"
}

user "ada" {
  email = "ada@example.com"
}

user "grace" {
  email = "grace@example.com"

  # Only attributes that differ from the CA's subject are needed.
  subject {
    locality = "Hamburg"
  }
}

# A device can have a certificate, too, and needs no e-mail address. It is hard
# to reach, so it keeps its key when its certificate is renewed.
user "wallboard" {
  validity     = "2y"
  renew_before = "60d"
  reuse_key    = true
}

nginx "grafana" {
  application     = "grafana" # WebSockets included
  server_name     = ["grafana.example.com"]
  upstream        = ["127.0.0.1:3000"]
  certificate     = "/etc/letsencrypt/live/grafana.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/grafana.example.com/privkey.pem"

  # Grafana signs in whoever this header names: [auth.proxy] in grafana.ini.
  headers = { "X-WEBAUTH-USER" = "name" }
}

nginx "wiki" {
  application     = "generic"
  server_name     = ["wiki.example.com", "docs.example.com"]
  upstream        = ["10.0.0.11:8080", "10.0.0.12:8080"]
  certificate     = "/etc/letsencrypt/live/wiki.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/wiki.example.com/privkey.pem"
}
