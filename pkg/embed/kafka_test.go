package embed

import (
	"strings"
	"testing"
)

// t.Setenv, so not parallel.
func TestKafkaTellsThatJavaIsMissing(t *testing.T) {
	t.Setenv("JAVA_HOME", "")
	t.Setenv("PATH", t.TempDir())
	_, err := StartKafka(t.Context(), KafkaConfig{DataDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no java on the PATH") {
		t.Errorf("error %v", err)
	}
}

func TestKafkaJarsArePinned(t *testing.T) {
	t.Parallel()
	seen := 0
	for line := range strings.Lines(kafkaJars) {
		fields := strings.Fields(line)
		if len(fields) != 2 || strings.Count(fields[0], ":") != 2 || len(fields[1]) != 64 {
			t.Errorf("line %q is not group:name:version sha256", strings.TrimSpace(line))
		}
		if strings.HasPrefix(line, "org.apache.kafka:kafka_2.13:4.1.1 ") || strings.HasPrefix(line, "org.apache.logging.log4j:log4j-core:") {
			seen++
		}
	}
	if seen != 2 {
		t.Error("the server or log4j-core is missing")
	}
}
