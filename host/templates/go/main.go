// {{name}} as a component; what it exports is in exports/.
package main

import _ "{{name}}-exporter/bindings/wit_exports"

func main() {}
