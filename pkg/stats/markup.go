package stats

import (
	"html"
	"html/template"
)

// markup is HTML that is put together here and not by the template, which would look at each of 26,000 cells of a page for
// 800 servers by itself: most of the time of such a page. What is not ours goes through text or attribute, which escape it.
type markup []byte

// raw adds what is ours.
func (m *markup) raw(parts ...string) {
	for _, p := range parts {
		*m = append(*m, p...)
	}
}

// text adds a text.
func (m *markup) text(s string) { m.raw(html.EscapeString(s)) }

// attribute adds one to a tag that is open, unless it is empty.
func (m *markup) attribute(name, value string) {
	if value != "" {
		m.raw(" ", name, `="`, html.EscapeString(value), `"`)
	}
}

// row adds a row of a table; its server can be chosen in a form if there is one.
func (m *markup) row(r *rowView, proxy string, choose bool) {
	m.raw("\n<tr class=\"", r.Kind, " t-", r.Class, "\">\n<th class=\"name\" scope=\"row\"")
	m.attribute("title", r.Tip)
	m.raw(">")
	if choose && r.Server != "" {
		m.raw(`<input type="checkbox" name="s"`)
		m.attribute("value", r.Server)
		m.attribute("aria-label", "choose "+proxy+"/"+r.Server)
		m.raw("> ")
	}
	m.raw("<span>")
	m.text(r.Name)
	m.raw(`</span><span class="st small" aria-hidden="true">`)
	m.text(r.State)
	m.raw("</span></th>")
	for i := range r.Cells {
		m.cell(&r.Cells[i])
	}
	m.raw("\n</tr>")
}

func (m *markup) cell(c *cell) {
	class := c.Class
	switch {
	case c.Tip == "":
	case class == "":
		class = "tip"
	default:
		class += " tip"
	}
	m.raw("\n<td")
	m.attribute("class", class)
	m.attribute("title", c.Tip)
	m.raw(">")
	if c.Text != "" || c.Small != "" {
		m.raw("<span>")
		m.text(c.Text)
		m.raw("</span>")
	}
	if c.Small != "" {
		m.raw(" <small>")
		m.text(c.Small)
		m.raw("</small>")
	}
	if c.Spark != "" {
		m.raw(`<svg class="spark" viewBox="0 -1 47 12" preserveAspectRatio="none" aria-hidden="true" focusable="false"><polyline points="`, c.Spark, `"/></svg>`)
	}
	m.raw("</td>")
}

// rowSize is about what a row takes, in bytes.
const rowSize = 2816

// Body is the rows of the table; choose says whether there are actions for servers.
func (p *proxyView) Body(choose bool) template.HTML {
	m := make(markup, 0, len(p.Rows)*rowSize)
	for i := range p.Rows {
		m.row(&p.Rows[i], p.Name, choose && p.Form != "")
	}
	return template.HTML(m) //nolint:gosec // escaped as markup is
}
