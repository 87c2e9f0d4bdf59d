"""Judges what it is told on standard input, with python3-cryptography.

A line each: number, kind, file, CA, CRL, passphrase file, certificate, seconds
since 1970, separated by tabs. Answers with the number, a tab and "good",
"revoked" or what is wrong.
"""

import datetime
import sys
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

warnings.simplefilter("ignore")  # of names that later versions replace


def read(name):
    with open(name, "rb") as file:
        return file.read()


def certificate(name):
    return x509.load_pem_x509_certificate(read(name))


def passphrase(name):
    return read(name).rstrip(b"\r\n")


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def moment(thing, name):
    """Older versions give times without a zone, which are in UTC."""
    new = getattr(thing, name + "_utc", None)
    return new or getattr(thing, name).replace(tzinfo=datetime.timezone.utc)


def verify(key, signed, signature, algorithm):
    """Raises InvalidSignature."""
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(algorithm))
    else:
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)


def judge_chain(file, ca, crl, _passphrase, _certificate, at):
    user, issuer = certificate(file), certificate(ca)
    at = datetime.datetime.fromtimestamp(int(at), datetime.timezone.utc)
    if user.issuer != issuer.subject:
        return "its issuer is not the CA"
    verify(issuer.public_key(), user.tbs_certificate_bytes, user.signature, user.signature_hash_algorithm)
    for cert in (user, issuer):
        if not moment(cert, "not_valid_before") <= at <= moment(cert, "not_valid_after"):
            return "not valid at " + at.isoformat()
    of = {cert: {type(e.value): e.value for e in cert.extensions} for cert in (user, issuer)}
    if not of[issuer][x509.BasicConstraints].ca or of[user][x509.BasicConstraints].ca:
        return "basicConstraints"
    # A CA that was made by hand may have no keyUsage, which allows all.
    if x509.KeyUsage in of[issuer] and not of[issuer][x509.KeyUsage].key_cert_sign or not of[user][x509.KeyUsage].digital_signature:
        return "keyUsage"
    if list(of[user][x509.ExtendedKeyUsage]) != [ExtendedKeyUsageOID.CLIENT_AUTH]:
        return "extendedKeyUsage"
    if of[user][x509.AuthorityKeyIdentifier].key_identifier != of[issuer][x509.SubjectKeyIdentifier].digest:
        return "authorityKeyIdentifier"
    if not crl:
        return "good"
    revocations = x509.load_pem_x509_crl(read(crl))
    if revocations.issuer != issuer.subject or not revocations.is_signature_valid(issuer.public_key()):
        return "the CRL is not the CA's"
    if not moment(revocations, "last_update") <= at <= moment(revocations, "next_update"):
        return "the CRL is not valid at " + at.isoformat()
    entry = revocations.get_revoked_certificate_by_serial_number(user.serial_number)
    return "good" if entry is None else "revoked"


def judge_crl(file, ca, _crl, _passphrase, _certificate, _at):
    revocations, issuer = x509.load_pem_x509_crl(read(file)), certificate(ca)
    if revocations.issuer != issuer.subject or not revocations.is_signature_valid(issuer.public_key()):
        return "it is not the CA's"
    number = revocations.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    for entry in revocations:
        entry.extensions  # reads them
    return "good" if number >= 0 else "its number"


def judge_p12(file, _ca, _crl, secret, cert, _at):
    key, user, others = pkcs12.load_key_and_certificates(read(file), passphrase(secret))
    if user != certificate(cert) or spki(key.public_key()) != spki(user.public_key()):
        return "it holds another certificate, or a key that is not its own"
    return "good" if len(others) == 1 else "it does not hold the CA's certificate alone beside the user's"


def judge_key(file, _ca, _crl, secret, cert, _at):
    key = serialization.load_pem_private_key(read(file), passphrase(secret))
    return "good" if spki(key.public_key()) == spki(certificate(cert).public_key()) else "it is another key"


def judge_csr(file, _ca, _crl, _passphrase, cert, _at):
    request = x509.load_pem_x509_csr(read(file))
    if not request.is_signature_valid:
        return "its key did not sign it"
    return "good" if spki(request.public_key()) == spki(certificate(cert).public_key()) else "it is for another key"


for line in sys.stdin:
    number, kind, *rest = line.rstrip("\n").split("\t")
    try:
        verdict = globals()["judge_" + kind](*rest)
    except Exception as e:  # whatever it is, it is the verdict
        verdict = " ".join(repr(e).split())
    print(number, verdict, sep="\t", flush=True)
