// Reads a JSON list of YAML documents on stdin and prints what kubectl makes of each: {"json": ...} or {"error": ...}.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

type verdict struct {
	JSON   string `json:"json,omitempty"`
	Error  string `json:"error,omitempty"`
	Strict string `json:"strict,omitempty"`
}

func main() {
	var documents []string
	if err := json.NewDecoder(os.Stdin).Decode(&documents); err != nil {
		panic(err)
	}
	found := make([]verdict, len(documents))
	for at, document := range documents {
		out, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			found[at].Error = err.Error()
			continue
		}
		found[at].JSON = string(out)
		if _, err := yaml.YAMLToJSONStrict([]byte(document)); err != nil {
			found[at].Strict = err.Error()
		}
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
