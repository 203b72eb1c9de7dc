// What is wider than the column scrolls by itself; then it can be reached with the keyboard, and only then.
addEventListener('load', () => {
  const reach = () => {
    for (const box of document.querySelectorAll('article pre:not([aria-hidden]), article div.math, article div.table-scroll, article div.output, article .table-wrapper')) {
      if (box.scrollWidth > box.clientWidth + 1) box.setAttribute('tabindex', '0')
      else box.removeAttribute('tabindex')
    }
  }
  const settled = globalThis.MathJax?.startup?.promise ?? Promise.resolve()
  settled.then(reach)
  addEventListener('resize', reach)
  for (const folded of document.querySelectorAll('details')) folded.addEventListener('toggle', reach)
})
