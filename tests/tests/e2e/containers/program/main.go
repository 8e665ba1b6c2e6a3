// A container as users write them: it listens on $PORT, and when it is private it checks tokens itself, with nothing
// but the standard library and the variables that the document names. Its one argument says how it behaves.
package main

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

type claims struct {
	Application []struct {
		Namespace   string `json:"namespace_id"`
		Application string `json:"application_id"`
	} `json:"application_claim"`
}

// allowed reads the key as PKCS#1, as the document's containers do.
func allowed(token string) bool {
	parts := strings.Split(token, ".")
	block, _ := pem.Decode([]byte(os.Getenv("SCW_PUBLIC_KEY")))
	if len(parts) != 3 || block == nil {
		return false
	}
	key, err := x509.ParsePKCS1PublicKey(block.Bytes)
	if err != nil {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) != nil {
		return false
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	var found claims
	if err != nil || json.Unmarshal(text, &found) != nil || len(found.Application) != 1 {
		return false
	}
	claim := found.Application[0]
	return claim.Namespace == os.Getenv("SCW_NAMESPACE_ID") &&
		(claim.Application == "" || claim.Application == os.Getenv("SCW_APPLICATION_ID"))
}

func private(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if os.Getenv("SCW_PUBLIC") != "true" && !allowed(r.Header.Get("SCW_FUNCTIONS_TOKEN")) {
			http.Error(w, "not for you", http.StatusForbidden)
			return
		}
		next(w, r)
	}
}

func describe(w http.ResponseWriter, r *http.Request) {
	directory, _ := os.Getwd()
	interfaces, _ := net.Interfaces()
	json.NewEncoder(w).Encode(map[string]any{
		"uid": os.Getuid(), "directory": directory, "arguments": os.Args[1:], "environment": os.Environ(),
		"path": r.URL.String(), "prefix": r.Header.Get("X-Forwarded-Prefix"), "interfaces": len(interfaces),
		"root_is_written": os.WriteFile("/written", nil, 0o600) == nil,
		"tmp_is_written":  os.WriteFile("/tmp/written", nil, 0o600) == nil,
	})
}

// speak says numbered lines, each by one call, and after each of them writes its number to /tmp/said.
func speak(r *http.Request, pause time.Duration) {
	count, _ := strconv.Atoi(r.URL.Query().Get("count"))
	said, err := os.Create("/tmp/said")
	if err != nil {
		panic(err)
	}
	for number := 1; number <= count; number++ {
		fmt.Printf("line %d\n", number)
		said.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(number)), 0)
		if number%50 == 0 {
			time.Sleep(pause)
		}
	}
}

func listen(address string) {
	http.HandleFunc("/", private(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, os.Getenv("ANSWER"))
	}))
	http.HandleFunc("/describe", describe)
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Minute)
	})
	http.HandleFunc("/end", func(w http.ResponseWriter, r *http.Request) {
		os.Exit(7)
	})
	http.HandleFunc("/say", func(w http.ResponseWriter, r *http.Request) {
		speak(r, 0)
	})
	http.HandleFunc("/speak", func(w http.ResponseWriter, r *http.Request) {
		go speak(r, 20*time.Millisecond)
	})
	fmt.Println("listening on", address)
	panic(http.ListenAndServe(address, nil))
}

func main() {
	mode, port := "all", os.Getenv("PORT")
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "loopback":
		listen("127.0.0.1:" + port)
	case "six":
		listen("[::1]:" + port)
	case "ends":
		fmt.Println("reading the configuration")
		fmt.Fprintln(os.Stderr, "no such file: /etc/app/settings")
		os.Exit(3)
	case "elsewhere":
		listen(":9090")
	default:
		listen(":" + port)
	}
}
