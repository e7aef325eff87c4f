package choreography

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// comments holds what the .proto files say of each message, field and enum value, by full name. The
// generated Go code does not carry it.
type comments map[string]string

var (
	packageLine = regexp.MustCompile(`^package ([\w.]+);`)
	openLine    = regexp.MustCompile(`^(?:message|enum) (\w+) \{`)
	memberLine  = regexp.MustCompile(`^(?:repeated |optional )?(?:[\w.]+ )?(\w+) = \d+;`)
)

// readComments reads every .proto file below a folder. It knows as much of the language as those files
// use: comments stand on lines of their own, before what they are about.
func readComments(folder string) (comments, error) {
	files, err := filepath.Glob(filepath.Join(folder, "quadrille", "*", "*", "*.proto"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("find .proto files in %s: %d found, %w", folder, len(files), err)
	}
	all := comments{}
	for _, file := range files {
		if err := all.read(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c comments) read(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("read comments: %w", err)
	}
	defer f.Close()
	var scope, said []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if text, ok := strings.CutPrefix(line, "//"); ok {
			said = append(said, strings.TrimSpace(text))
			continue
		}
		note := func(name string) {
			if len(said) > 0 {
				c[strings.Join(append(scope[:len(scope):len(scope)], name), ".")] = strings.Join(said, " ")
			}
		}
		if m := packageLine.FindStringSubmatch(line); m != nil {
			scope = []string{m[1]}
		} else if m := openLine.FindStringSubmatch(line); m != nil {
			note(m[1])
			scope = append(scope, m[1])
		} else if m := memberLine.FindStringSubmatch(line); m != nil {
			note(m[1])
		} else if line == "}" {
			scope = scope[:len(scope)-1]
		}
		said = nil
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read comments of %s: %w", file, err)
	}
	return nil
}
