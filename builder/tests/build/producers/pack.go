// Packs the current directory to standard output as archive/zip's own ways do.
package main

import (
	"archive/zip"
	"io/fs"
	"os"
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func main() {
	w := zip.NewWriter(os.Stdout)
	here := os.DirFS(".")
	if os.Args[1] == "fs" {
		check(w.AddFS(here))
		check(w.Close())
		return
	}
	check(fs.WalkDir(here, ".", func(path string, d fs.DirEntry, err error) error {
		check(err)
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		check(err)
		header, err := zip.FileInfoHeader(info)
		check(err)
		header.Name = path
		var data []byte
		if info.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			check(err)
			data = []byte(target)
		} else {
			data, err = fs.ReadFile(here, path)
			check(err)
			if os.Args[1] != "stored" {
				header.Method = zip.Deflate
			}
		}
		if os.Args[1] == "create" {
			out, err := w.Create(path)
			check(err)
			_, err = out.Write(data)
			return err
		}
		out, err := w.CreateHeader(header)
		check(err)
		_, err = out.Write(data)
		return err
	}))
	check(w.Close())
}
