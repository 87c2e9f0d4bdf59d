# The output directory may lie in a repository: generated passphrases are
# encrypted to those who may read them, and lie nowhere in clear. The age program
# opens them: age -d -i KEY-FILE secrets/ada-sealed.pass.age
# Put your own keys into the place of these, which nobody has.

output = "../build/sealed"

ca "sealed" {
  subject {
    organization = "Example Inc."
    common_name  = "Example Inc. CA"
  }
  key = "ecdsa-p256"

  # The job that renews certificates has this alone, and can read no user's
  # passphrase.
  passphrase = { env = "MTLSPLAN_CA_PASSPHRASE" }
}

seal {
  recipients = [
    "age1e6zar4nr3j9ser3h2zcgeg49z800xyhme4vtrhxxnglapufdtu5qus8exj", # operations
  ]
}

# Ada's own SSH key opens hers: age -d -i ~/.ssh/id_ed25519
user "ada" {
  email = "ada@example.com"

  seal {
    recipients = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGSG8Iud59W2Y3hW/rY90eNSqEeFjaBxGMT4p+RM0Xzf ada"]
  }
}

user "grace" {
  email = "grace@example.com"
}
