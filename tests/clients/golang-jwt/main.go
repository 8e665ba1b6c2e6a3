// Proves and signs tokens with golang-jwt: tasks and answers as in ../pyjwt/tokens.py.
package main

import (
	"encoding/json"
	"log"
	"os"

	"github.com/golang-jwt/jwt/v5"
)

type task struct {
	Verify   string        `json:"verify"`
	Sign     jwt.MapClaims `json:"sign"`
	Key      string        `json:"key"`
	Audience string        `json:"audience"`
}

type answer struct {
	Claims  jwt.MapClaims `json:"claims,omitempty"`
	Token   string        `json:"token,omitempty"`
	Refused string        `json:"refused,omitempty"`
}

func (t task) sign() (answer, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(t.Key))
	if err != nil {
		return answer{}, err
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, t.Sign).SignedString(key)
	return answer{Token: token}, err
}

func (t task) verify() (answer, error) {
	key, err := jwt.ParseRSAPublicKeyFromPEM([]byte(t.Key))
	if err != nil {
		return answer{}, err
	}
	find := func(*jwt.Token) (any, error) { return key, nil }
	claims := jwt.MapClaims{}
	rules := []jwt.ParserOption{
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithAudience(t.Audience), jwt.WithIssuedAt(),
	}
	if _, err := jwt.ParseWithClaims(t.Verify, claims, find, rules...); err != nil {
		return answer{Refused: err.Error()}, nil
	}
	return answer{Claims: claims}, nil
}

func main() {
	var tasks []task
	if err := json.Unmarshal([]byte(os.Args[1]), &tasks); err != nil {
		log.Fatal(err)
	}
	answers := []answer{}
	for _, task := range tasks {
		do := task.verify
		if task.Sign != nil {
			do = task.sign
		}
		answer, err := do()
		if err != nil {
			log.Fatal(err)
		}
		answers = append(answers, answer)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		log.Fatal(err)
	}
}
