// Reads cron expressions with the parser that Kubernetes uses: for each JSON object of a line on standard input,
// {"expression": ...}, and perhaps "as", which is read in its place, the same object with what came of it, either
// "refused", or "next": the ticks after each of the instants below, in UTC; fewer where no more come.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/robfig/cron/v3"
)

const ticks = 3

// An ordinary day, the last minute of a leap year's February, and the end of a year.
var instants = []string{"2026-11-29T12:34:56Z", "2028-02-28T23:59:00Z", "2030-12-31T23:58:59Z"}

type row struct {
	Expression string     `json:"expression"`
	As         string     `json:"as,omitempty"`
	Refused    string     `json:"refused,omitempty"`
	Next       [][]string `json:"next,omitempty"`
}

func (r *row) read() {
	r.Refused, r.Next = "", nil
	expression := r.Expression
	if r.As != "" {
		expression = r.As
	}
	schedule, err := cron.ParseStandard(expression)
	if err != nil {
		r.Refused = err.Error()
		return
	}
	for _, instant := range instants {
		at, err := time.Parse(time.RFC3339, instant)
		if err != nil {
			log.Fatal(err)
		}
		next := []string{}
		for len(next) < ticks {
			// Gives up after five years, which is no time at all.
			if at = schedule.Next(at); at.IsZero() {
				break
			}
			next = append(next, at.UTC().Format(time.RFC3339))
		}
		r.Next = append(r.Next, next)
	}
}

func main() {
	time.Local = time.UTC
	lines := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	answers := json.NewEncoder(out)
	answers.SetEscapeHTML(false)
	for lines.Scan() {
		var row row
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			log.Fatal(err)
		}
		row.read()
		if err := answers.Encode(row); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}
