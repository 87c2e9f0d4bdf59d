import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.CertPath;
import java.security.cert.CertPathValidator;
import java.security.cert.CertPathValidatorException;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.CollectionCertStoreParameters;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CRL;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.util.Date;
import java.util.List;
import java.util.Set;

/**
 * Judges what it is told on standard input, a line each: number, kind, file, CA, CRL, passphrase file, certificate,
 * seconds since 1970, separated by tabs. Answers with the number, a tab and "good", "revoked" or what is wrong.
 */
public class Judge {
    static final CertificateFactory X509 = x509();

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            String[] f = line.split("\t", -1);
            String verdict;
            try {
                verdict = switch (f[1]) {
                    case "chain" -> chain(f[2], f[3], f[4], Long.parseLong(f[7]));
                    case "crl" -> crl(f[2], f[3]);
                    case "p12" -> p12(f[2], f[5], f[6]);
                    default -> "Java is not asked about " + f[1];
                };
            } catch (Exception e) {
                verdict = revoked(e) ? "revoked" : e.toString().replaceAll("\\s+", " ");
            }
            System.out.println(f[0] + "\t" + verdict);
        }
    }

    static boolean revoked(Exception e) {
        return e instanceof CertPathValidatorException v && v.getReason() == CertPathValidatorException.BasicReason.REVOKED;
    }

    static String chain(String file, String ca, String crl, long at) throws Exception {
        CertPath path = X509.generateCertPath(List.of(certificate(file)));
        PKIXParameters asked = new PKIXParameters(Set.of(new TrustAnchor(certificate(ca), null)));
        X509CertSelector client = new X509CertSelector();
        client.setExtendedKeyUsage(Set.of("1.3.6.1.5.5.7.3.2"));
        client.setKeyUsage(new boolean[] {true});
        asked.setTargetCertConstraints(client);
        asked.setDate(new Date(at * 1000));
        asked.setRevocationEnabled(!crl.isEmpty());
        if (!crl.isEmpty()) {
            asked.addCertStore(CertStore.getInstance("Collection", new CollectionCertStoreParameters(List.of(list(crl)))));
        }
        CertPathValidator.getInstance("PKIX").validate(path, asked);
        return "good";
    }

    static String crl(String file, String ca) throws Exception {
        X509Certificate issuer = certificate(ca);
        X509CRL list = list(file);
        if (!list.getIssuerX500Principal().equals(issuer.getSubjectX500Principal())) {
            return "its issuer is not the CA";
        }
        list.verify(issuer.getPublicKey());
        return "good";
    }

    static String p12(String file, String passphrase, String certificate) throws Exception {
        char[] secret = Files.readString(Path.of(passphrase)).stripTrailing().toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(new ByteArrayInputStream(Files.readAllBytes(Path.of(file))), secret);
        String alias = store.aliases().nextElement();
        if (store.size() != 1 || !(store.getKey(alias, secret) instanceof PrivateKey)) {
            return "it holds other things than one key";
        }
        if (store.getCertificateChain(alias).length != 2) {
            return "its chain is not the certificate and its CA's";
        }
        return store.getCertificate(alias).equals(certificate(certificate)) ? "good" : "it holds another certificate";
    }

    static X509Certificate certificate(String file) throws Exception {
        return (X509Certificate) X509.generateCertificate(new ByteArrayInputStream(Files.readAllBytes(Path.of(file))));
    }

    static X509CRL list(String file) throws Exception {
        return (X509CRL) X509.generateCRL(new ByteArrayInputStream(Files.readAllBytes(Path.of(file))));
    }

    static CertificateFactory x509() {
        try {
            return CertificateFactory.getInstance("X.509");
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }
}
