package mutants

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// explorerTest runs the mistakes that are seeded into the explorer's copies of the real functions. They stand in
// that package's tests, since they wrap what a decision sees and does, in memory.
const explorerPackage, explorerTest = "./services/choreography/explorer", "TestMutants"

var foundAfter = regexp.MustCompile(`found after (\d+) states, \d+ steps: (.*)`)

// Explorer runs the explorer's seeded mistakes and returns one result each, in the order in which they ended.
func (r Runner) Explorer(ctx context.Context) ([]Result, error) {
	out, err := run(ctx, r.Root, "go", "test", "-json", "-count=1", "-vet=off", "-timeout", "10m", "-run", "^"+explorerTest+"$", explorerPackage)
	if ctx.Err() != nil {
		return nil, err
	}
	results := readExplorer(out)
	if len(results) == 0 {
		said := readTest(out)
		return nil, fmt.Errorf("the explorer's mistakes were not run: %w\n%s", err, said.text.String())
	}
	for _, result := range results {
		r.Tell(result)
	}
	return results, nil
}

func readExplorer(out []byte) []Result {
	type ended struct {
		testEvent
		Elapsed float64
	}
	found := map[string]Result{}
	var results []Result
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e ended
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		_, name, isPart := strings.Cut(e.Test, "/")
		if !isPart {
			continue
		}
		name = strings.ReplaceAll(name, "_", " ")
		result := found[name]
		switch e.Action {
		case "output":
			if m := foundAfter.FindStringSubmatch(e.Output); m != nil && result.States == 0 {
				result.States, _ = strconv.Atoi(m[1]) // digits, as matched
				result.First = strings.TrimSpace(m[2])
			}
			found[name] = result
		case "pass", "fail":
			result.Name, result.Kind, result.Rule = name, "S", "seeded into the real functions"
			result.Proof = fmt.Sprintf("%s %s", explorerPackage, explorerTest)
			result.Lines, result.Killed, result.Seconds = seededLines(name), e.Action == "pass", e.Elapsed
			results = append(results, result)
		}
	}
	return results
}
