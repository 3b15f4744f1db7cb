package stats

import (
	"html/template"
	"strings"
)

// RowsHTML writes the rows of a table, with boxes to choose servers by if a form is around them. Nearly all of
// a large page is rows, and a template takes several times as long for them. Form is the backend's name in
// forms, "" for none.
func (p *proxyView) RowsHTML(form any) template.HTML {
	var b strings.Builder
	choose := form == any(p.Form) && p.Form != ""
	for i := range p.Rows {
		p.Rows[i].write(&b, choose, p.Name)
	}
	return template.HTML(b.String()) //nolint:gosec // write escapes all texts
}

func (r *rowView) write(b *strings.Builder, choose bool, proxy string) {
	b.WriteString("\n<tr")
	attribute(b, "class", r.Kind+" t-"+r.Class)
	b.WriteString("><th class=\"name\" scope=\"row\"")
	attribute(b, "title", r.Tip)
	b.WriteByte('>')
	if choose && r.Server != "" {
		b.WriteString(`<input type="checkbox" name="s"`)
		attribute(b, "value", r.Server)
		attribute(b, "aria-label", "choose "+proxy+"/"+r.Server)
		b.WriteString("> ")
	}
	b.WriteString("<span>")
	escape(b, r.Name)
	b.WriteString(`</span><span class="st small" aria-hidden="true">`)
	escape(b, r.State)
	b.WriteString("</span></th>")
	for i := range r.Cells {
		r.Cells[i].write(b)
	}
	b.WriteString("\n</tr>")
}

func (c *cell) write(b *strings.Builder) {
	class := c.Class
	if c.Tip != "" {
		class = strings.TrimSpace(class + " tip")
	}
	b.WriteString("\n<td")
	attribute(b, "class", class)
	attribute(b, "title", c.Tip)
	b.WriteByte('>')
	if c.Text != "" {
		b.WriteString("<span>")
		escape(b, c.Text)
		b.WriteString("</span>")
	}
	if c.Small != "" {
		b.WriteString(" <small>")
		escape(b, c.Small)
		b.WriteString("</small>")
	}
	if c.Spark != "" {
		b.WriteString(`<svg class="spark" viewBox="0 -1 47 12" preserveAspectRatio="none" aria-hidden="true" focusable="false"><polyline`)
		attribute(b, "points", c.Spark)
		b.WriteString("/></svg>")
	}
	b.WriteString("</td>")
}

func attribute(b *strings.Builder, name, value string) {
	if value == "" {
		return
	}
	b.WriteByte(' ')
	b.WriteString(name)
	b.WriteString(`="`)
	escape(b, value)
	b.WriteByte('"')
}

// escape writes a text as HTML. Names come from a configuration, and outcomes of checks from servers.
func escape(b *strings.Builder, s string) {
	if !strings.ContainsAny(s, "<>&'\"\x00") {
		b.WriteString(s)
		return
	}
	b.WriteString(template.HTMLEscapeString(s))
}
