package stats

import (
	"html"
	"html/template"
	"strconv"
	"strings"
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
	if c.Spark != "" {
		m.raw(`<svg class="spark" viewBox="0 -1 47 12" preserveAspectRatio="none" aria-hidden="true" focusable="false"><polyline points="`, c.Spark, `"/></svg>`)
	}
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

// head is that of every table: made once for a page, since the template would look at each of its columns for each proxy.
func head(layout []group) template.HTML {
	var m markup
	m.raw("<thead>\n<tr class=\"groups\">\n<td></td>")
	for i := range layout {
		m.raw("\n<th class=\"g\" colspan=\"", strconv.Itoa(len(layout[i].Columns)), "\" scope=\"colgroup\">")
		m.text(layout[i].Title)
		m.raw("</th>")
	}
	m.raw("\n</tr>\n<tr>\n<th class=\"name\" scope=\"col\">Name</th>")
	for i := range layout {
		for j := range layout[i].Columns {
			m.columnHead(&layout[i].Columns[j], j == 0)
		}
	}
	m.raw("\n</tr>\n</thead>")
	return template.HTML(m) //nolint:gosec // escaped as markup is
}

func (m *markup) columnHead(c *shown, first bool) {
	class := c.Class
	if first {
		class = "g " + class
	}
	m.raw("\n<th")
	m.attribute("class", strings.TrimSpace(class))
	m.raw(" scope=\"col\">")
	if c.Hint != "" {
		m.raw("<abbr")
		m.attribute("title", c.Hint)
		m.raw(">")
		m.text(c.Title)
		m.raw("</abbr>")
	} else {
		m.text(c.Title)
	}
	m.raw("</th>")
}

// choices is what a form of servers offers, the same for every proxy.
func choices(actions []action) template.HTML {
	var m markup
	for _, a := range actions {
		if a.Text != "" {
			m.raw("\n<option")
			m.attribute("value", a.Name)
			m.raw(">")
			m.text(a.Text)
			m.raw("</option>")
		}
	}
	return template.HTML(m) //nolint:gosec // escaped as markup is
}
