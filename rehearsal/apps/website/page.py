"""The one page: a list of berths and the form for inquiries."""

from __future__ import annotations

from html import escape

_PAGE = """\
<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Port Nimara</title>
<link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1"></head>
<body><header><h1>Port Nimara</h1></header>
<main><ul id="berths"></ul>
<form data-sitekey="{site_key}">
<select name="kind"><option>berth<option>residence<option>contact</select>
<input name="name" required><input name="email" type="email" required><textarea name="message"></textarea>
<input name="recaptchaToken" type="hidden"><button>Send</button></form><p role="status"></p></main>
<script src="/_nuxt/entry.js" defer></script></body></html>
"""

SCRIPT = """\
const landed = [...new URLSearchParams(location.search)]
const utm = Object.fromEntries(landed.filter(([name]) => name.startsWith('utm_')))
const forwarded = Object.keys(utm).length ? { 'x-utm': JSON.stringify(utm) } : {}
fetch('/api/berths').then((answer) => answer.json()).then(({ berths }) => {
  document.querySelector('#berths').replaceChildren(...berths.map((berth) => {
    const item = document.createElement('li')
    item.textContent = `${berth.name} ${berth.status}`
    return item
  }))
})
document.querySelector('form').addEventListener('submit', async (event) => {
  event.preventDefault()
  const answer = await fetch('/api/inquiry', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...forwarded },
    body: JSON.stringify(Object.fromEntries(new FormData(event.target))),
  })
  document.querySelector('[role=status]').textContent = answer.ok ? 'Thank you' : 'Please try again'
})
"""
"""What the client does: reads utm_* from the landing page's address and sets no cookie."""


def page(site_key: str) -> str:
    """Return the page."""
    return _PAGE.format(site_key=escape(site_key))
