# The ways to say where a passphrase is. A spec never holds one itself, so it
# can be committed. This one suits a CI job: the runner's own secret store
# gives the CA's passphrase, everything else follows from it.

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

# A passphrase that a person chose can be guessed at, so its .p12 gets the modern
# encoding. Programs, Firefox, and recent Windows and Android read it; macOS and
# iOS often do not.
defaults {
  p12 = ["modern"]
}

# From a file, relative to this one; one line end at its end is dropped.
user "deploy-bot" {
  email      = "deploy-bot@example.com"
  passphrase = { file = "secrets/deploy-bot.pass" }
}

# From a password manager: any program that prints the passphrase. It is run
# without a shell, in this file's directory.
user "ada" {
  email      = "ada@example.com"
  passphrase = { command = ["pass", "show", "mtls/ada"] }
}

# Generated once and kept in secrets/ of the output directory, which is what
# happens when nothing is said. Nobody can guess it, so the encoding that every
# device opens is good enough.
user "grace" {
  email      = "grace@example.com"
  passphrase = { generate = true }
  p12        = ["compat"]
}
