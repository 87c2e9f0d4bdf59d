# The sources of passphrases. A spec never holds a passphrase itself, so it can
# be committed. This one suits a CI job: the CA's passphrase comes from the
# secret store of the runner.

output = "../build/passphrases"

ca "ci" {
  subject {
    country      = "US"
    organization = "Example Inc."
    common_name  = "Example CI CA"
  }
  key = "ecdsa-p256"

  # From the environment.
  passphrase = { env = "MTLSPLAN_CA_PASSPHRASE" }
}

# A passphrase that a person chose can be guessed, so its .p12 gets the modern
# encoding. Programs, Firefox, and recent Windows and Android read it; macOS and
# iOS often do not.
defaults {
  p12 = ["modern"]
}

# From a file, relative to this one. One newline at its end is ignored.
user "deploy-bot" {
  email      = "deploy-bot@example.com"
  passphrase = { file = "secrets/deploy-bot.pass" }
}

# From a password manager, or any other program that prints the passphrase. It is
# run without a shell, in this file's directory.
user "ada" {
  email      = "ada@example.com"
  passphrase = { command = ["pass", "show", "mtls/ada"] }
}

# Generated once and kept in secrets/ of the output directory. This is the
# default. Nobody can guess it, so the encoding that every device opens is good
# enough.
user "grace" {
  email      = "grace@example.com"
  passphrase = { generate = true }
  p12        = ["compat"]
}
