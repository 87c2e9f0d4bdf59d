# Mattermost, with access for clients that cannot have a certificate: programs
# that post to incoming webhooks, and Mattermost's mobile apps.

output = "../build/webhooks-and-mobile"

ca "chat" {
  subject {
    country      = "US"
    province     = "Maryland"
    organization = "Example Inc."
    common_name  = "chat.example.com"
    email        = "admin@example.com"
  }
  key = "ecdsa-p256"
}

user "ada" {
  email = "ada@example.com"
}

nginx "chat" {
  server_name     = ["chat.example.com"]
  upstream        = ["127.0.0.1:8065"]
  certificate     = "/etc/letsencrypt/live/chat.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/chat.example.com/privkey.pem"

  # Incoming webhooks: the address holds a secret of its own. With an exempt
  # path NGINX accepts a handshake without a certificate, and then refuses every
  # request without one that is for another path.
  exempt = ["/hooks/"]
}

# The mobile apps cannot show a client certificate, and they need the whole API.
# So they get a site of their own, on a port that the firewall opens to the VPN
# only. Its exempt paths are open to everybody who can reach that port.
nginx "chat-mobile" {
  server_name     = ["chat.example.com"]
  listen          = ["8443"]
  redirect_from   = []
  upstream        = ["127.0.0.1:8065"]
  certificate     = "/etc/letsencrypt/live/chat.example.com/fullchain.pem"
  certificate_key = "/etc/letsencrypt/live/chat.example.com/privkey.pem"
  exempt          = ["/api/", "/plugins/", "/static/"]
}
