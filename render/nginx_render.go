package render

const sessionTimeoutWords = "ten minutes"

func renderNginx(s Site) []byte { return nil }
