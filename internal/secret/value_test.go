package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"text/template"
	"unicode/utf16"

	"gopkg.in/yaml.v3"
)

// forms are the forms in which a printed or encoded text could hold a secret.
func forms(s string) []string {
	hexed := fmt.Sprintf("%x", s)
	var wide []byte
	for _, u := range utf16.Encode([]rune(s)) {
		wide = append(wide, byte(u>>8), byte(u))
	}
	return []string{s, hexed, strings.ToUpper(hexed), fmt.Sprintf("% x", s), string(wide),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		strings.Trim(fmt.Sprint([]byte(s)), "[]"), strings.Trim(fmt.Sprintf("%#v", []byte(s)), "[]byte{}"),
		strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(s)), "[]"), " ", ",")}
}

func hides(t *testing.T, how, shown string) {
	t.Helper()
	for _, form := range forms(text) {
		if strings.Contains(shown, form) {
			t.Errorf("%s shows it: %q", how, shown)
			return
		}
	}
}

// holders are a secret alone and in every type of value that may hold one.
func holders() map[string]any {
	v := New([]byte(text))
	type hidden struct{ v Value }
	type open struct {
		V Value            `json:"v" yaml:"v" xml:"v"`
		P *Value           `json:"p" yaml:"p" xml:"p"`
		L []Value          `json:"l" yaml:"l" xml:"l"`
		M map[string]Value `json:"m" yaml:"m" xml:"-"`
		I any              `json:"i" yaml:"i" xml:"-"`
	}
	type attr struct {
		V Value `xml:"v,attr"`
		C Value `xml:",chardata"`
	}
	type inner struct{ Value }
	o := open{v, &v, []Value{v}, map[string]Value{"k": v}, v}
	p := &v
	return map[string]any{"value": v, "pointer": &v, "pointer to pointer": &p, "slice": []Value{v}, "array": [1]Value{v},
		"struct": o, "pointer to struct": &o, "embedded": inner{v}, "unexported": hidden{v}, "pointer to unexported": &hidden{v},
		"map": map[string]any{"k": v, "h": hidden{v}}, "attribute": attr{v, v}, "interface": []any{v, &v}, "error": failure{v}, "channel of it": make(chan Value)}
}

type failure struct{ v Value }

func (f failure) Error() string { return fmt.Sprint("it is not ", f.v) }

// TestValueStaysHidden prints, encodes and logs a secret in every way that is open to
// the program or a library.
func TestValueStaysHidden(t *testing.T) {
	for name, h := range holders() {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%o", "%c", "%U", "%t", "%e", "%p", "%T", "%w", "%5.1v", "%!", "%[2]v"} {
			hides(t, name+" with "+verb, fmt.Sprintf(verb, h))
		}
		hides(t, name+" with Sprint", fmt.Sprint(h)+fmt.Sprintln(h))
		hides(t, name+" as an error", errors.Join(fmt.Errorf("a: %v", h), fmt.Errorf("b: %w", failure{New([]byte(text))})).Error())

		var out bytes.Buffer
		logger := log.New(&out, "", log.LstdFlags|log.Llongfile)
		logger.Print(h)
		logger.Printf("%#v", h)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			slog.New(handler).With("w", h).WithGroup("g").Error("m", "v", h, slog.Group("s", slog.Any("v", h)))
		}
		for _, encode := range []func(io.Writer) error{
			func(w io.Writer) error { return json.NewEncoder(w).Encode(h) },
			func(w io.Writer) error { return xml.NewEncoder(w).Encode(h) },
			func(w io.Writer) error { return gob.NewEncoder(w).Encode(h) },
			func(w io.Writer) error {
				return template.Must(template.New("").Parse(`{{.}} {{printf "%s %x" . .}} {{html .}} {{js .}} {{urlquery .}} {{print .}}`)).Execute(w, h)
			},
		} {
			if err := encode(&out); err != nil {
				out.WriteString(err.Error())
			}
		}
		if name != "channel of it" {
			y, err := yaml.Marshal(h)
			fmt.Fprint(&out, string(y), err)
		}
		hides(t, name+" encoded or logged", out.String())
	}
	if err := gob.NewEncoder(io.Discard).Encode(New([]byte(text))); err == nil {
		t.Error("gob takes a secret")
	}
}

// TestValuesCannotBeCompared: == does not compile, a Value cannot be the key of a map,
// and DeepEqual is always false, so that only Equal compares.
func TestValuesCannotBeCompared(t *testing.T) {
	if reflect.TypeFor[Value]().Comparable() {
		t.Error("== compares secrets, in time that depends on them")
	}
	b := []byte(text)
	a, c := New(b), New(b)
	if reflect.DeepEqual(a, c) || reflect.DeepEqual(a, a) || reflect.DeepEqual(&a, &c) {
		t.Error("DeepEqual compares secrets")
	}
	if !a.Equal(c) || a.Equal(New([]byte(text[1:]))) || a.Equal(Value{}) || !(Value{}).Equal(Value{}) {
		t.Error("Equal is wrong")
	}
	defer func() {
		if recover() == nil {
			t.Error("secrets in interfaces can be compared")
		}
	}()
	_ = any(a) == any(c)
}

// TestPanicsHideSecrets ends a process that holds a secret in a panic, once with the
// secret as the panic's value.
func TestPanicsHideSecrets(t *testing.T) {
	if how := os.Getenv("PANIC"); how != "" {
		switch v := Line([]byte(strings.Join([]string{"correct", "horse"}, " ") + "\n")); how { // not a constant: it is nowhere else
		case "value":
			panic(v)
		case "error":
			panic(failure{v})
		default:
			fall(v, []Value{v}, &v, map[string]Value{"k": v}, v.bytes())
		}
	}
	for _, how := range []string{"value", "error", "stack"} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPanicsHideSecrets$")
		cmd.Env = append(os.Environ(), "PANIC="+how, "GOTRACEBACK=system")
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte("goroutine ")) {
			t.Fatalf("%s: %v: %s", how, err, out)
		}
		hides(t, "a panic, "+how, string(out))
	}
}

//go:noinline
func fall(v Value, l []Value, p *Value, m map[string]Value, b []byte) {
	panic(fmt.Sprint(len(l), len(m), p.IsZero(), len(b), v))
}
