// Package greeting is shared by the functions of this module.
package greeting

// For greets name.
func For(name string) string {
	return "Hello, " + name
}
