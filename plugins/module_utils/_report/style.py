# Copyright (c) 2026, the pgflex.migrate contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The look of a report's page, and the few lines that sort and filter its table."""

from __future__ import annotations

STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1c2430;--soft:#566173;--line:#d5dbe3;--band:#f4f6f9;--link:#0b57a4;
--good:#17733a;--bad:#b3261e;--warn:#8a5a00;--plain:#4a5568;
--prepare:#8d9aab;--copy:#2f76c4;--wait:#e0a526;--cutover:#8747b5;--run:#4d9aa0;--down:#c8321f}
@media screen and (prefers-color-scheme:dark){:root{--page:#14181f;--text:#e4e8ee;--soft:#a2adbc;--line:#343c48;
--band:#1d232d;--link:#7db7f2;--good:#62c98a;--bad:#ff8f85;--warn:#f0b95a;--plain:#b3bdca;
--prepare:#77859a;--copy:#4b93e0;--wait:#d79f2b;--cutover:#ab74d6;--run:#55aab0;--down:#ff6b57}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem;max-width:90rem;background:var(--page);color:var(--text);
font:15px/1.45 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.7rem;margin:0 0 .2rem}h2{font-size:1.25rem;margin:2.2rem 0 .6rem}
h3{font-size:1rem;margin:1.2rem 0 .3rem}h4{font-size:.95rem;margin:.8rem 0 .2rem;font-weight:600}
p{margin:.3rem 0}a{color:var(--link)}.soft{color:var(--soft)}
h1,h2,h3,p,li,dd,summary{overflow-wrap:anywhere}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--page);padding:.3rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.6rem;margin:1rem 0;padding:0}
.tiles div{border:1px solid var(--line);border-radius:6px;padding:.5rem .8rem;background:var(--band)}
.tiles dt{color:var(--soft);font-size:.85rem}.tiles dd{margin:0;font-size:1.25rem;font-weight:600}
.tiles .b dd{color:var(--bad)}
.tiles small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.wide{overflow-x:auto;border:1px solid var(--line);border-radius:6px}
caption{text-align:left;font-weight:600;font-size:.95rem;padding:.3rem .55rem}caption small{font-weight:400}
.host .wide{margin-top:.7rem}table{border-collapse:collapse;width:100%;font-size:.86rem}
th,td{text-align:left;vertical-align:top;padding:.35rem .55rem;border-bottom:1px solid var(--line)}
td,th{overflow-wrap:break-word}
thead th{background:var(--band);font-weight:600;vertical-align:bottom}
tbody tr:last-child>*{border-bottom:0}tbody th{font-weight:600}
#fleet td,#fleet tbody th{max-width:13rem}#fleet .said{min-width:15rem;max-width:none}
#fleet{font-size:.82rem}#fleet th,#fleet td{padding:.3rem .45rem}
#fleet td:nth-child(4){min-width:10rem}#fleet td:nth-child(7){white-space:nowrap}
#fleet tbody th{position:sticky;left:0;background:var(--page);border-right:1px solid var(--line)}
#fleet thead th:first-child{position:sticky;left:0;border-right:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}thead .n{text-align:right}
.s{font-weight:600;white-space:nowrap;color:var(--plain)}.s.g{color:var(--good)}.s.b{color:var(--bad)}.s.w{color:var(--warn)}
.remedy{color:var(--soft);display:block}
thead button{all:unset;cursor:pointer;font-weight:600}thead button:focus-visible{outline:2px solid var(--link)}
thead [aria-sort=ascending] button::after{content:" \\2191"}
thead [aria-sort=descending] button::after{content:" \\2193"}
.tools{display:flex;gap:.6rem;flex-wrap:wrap;margin:.5rem 0;align-items:center}
.tools input,.tools select{font:inherit;padding:.25rem .5rem;color:inherit;background:var(--page);
border:1px solid var(--soft);border-radius:4px;max-width:100%}
figure{margin:.4rem 0 1rem}svg{display:block;width:100%;overflow:visible}
svg text{fill:var(--text);font-size:12px}svg .t{fill:var(--soft);font-size:11px}svg line{stroke:var(--line)}
.p{fill:var(--prepare)}.c{fill:var(--copy)}.w1{fill:var(--wait)}.x{fill:var(--cutover)}.r{fill:var(--run)}
.d{fill:var(--down)}.ok{fill:var(--good)}.no{fill:var(--bad)}.track{fill:var(--band)}
.key{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:0;margin:.4rem 0;list-style:none;font-size:.85rem}
.key svg{display:inline-block;width:14px;height:10px;margin-right:.35rem}
details.host{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:0 .9rem}
details.host[open]{padding-bottom:.9rem}
summary{cursor:pointer;padding:.5rem 0}summary h3{display:inline;margin:0 .5rem 0 0}
.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.4rem 0;font-size:.9rem}
.facts dt{color:var(--soft)}.facts dd{margin:0}
code{font:.86em/1.4 ui-monospace,Consolas,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
ul{margin:.3rem 0;padding-left:1.2rem}
@media(max-width:40rem){body{padding:.8rem}.facts{grid-template-columns:1fr;gap:0}.facts dd{margin-bottom:.4rem}
.tiles{grid-template-columns:repeat(2,1fr)}}
@media screen and (max-width:40rem){#fleet thead{position:absolute;left:-99rem}
#fleet,#fleet tbody,#fleet tr{display:block}#fleet tr[hidden]{display:none}
#fleet tr{padding:.5rem .6rem;border-bottom:1px solid var(--line)}#fleet tr:last-child{border-bottom:0}
#fleet td,#fleet tbody th{display:block;border:0;padding:.1rem 0;max-width:none;min-width:0;text-align:left}
#fleet tbody th,#fleet td:nth-child(2){display:inline-block;position:static;margin-right:.6rem;font-size:.95rem}
#fleet td:nth-child(n+4){position:relative;padding-left:8.5rem}#fleet td:empty{display:none}
#fleet td:nth-child(n+4)::before{position:absolute;left:0;color:var(--soft)}
#fleet .said{min-width:0;padding:.2rem 0 .4rem}}
@page{size:A4 landscape;margin:12mm}
@media print{html{font-size:12px}.tiles{grid-template-columns:repeat(auto-fit,minmax(8rem,1fr))}
body{padding:0;max-width:none;font-size:9pt}.tools,.skip{display:none}
.wide{overflow:visible;border:0}table,#fleet{font-size:7.5pt}#fleet th,#fleet td,th,td{padding:2pt 3pt}
#fleet tr>:nth-child(n){min-width:0;max-width:none}
#fleet tbody th,#fleet thead th:first-child{position:static}
thead{display:table-header-group}tr,figure,.tiles div{break-inside:avoid}h2,h3,h4,summary{break-after:avoid}
#fleet tr>:nth-child(4){min-width:9rem}.host .wide,.key{break-inside:avoid}
.key,caption{break-after:avoid}caption{padding-left:0}
details::details-content{content-visibility:visible;block-size:auto}summary{list-style:none}
details.host{border:0;border-top:1px solid var(--line);border-radius:0;padding:0}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}a{color:inherit;text-decoration:none}}
"""

# Without it the page lacks nothing but the sorting and the filter.
SCRIPT = """
(function () {
  var table = document.getElementById("fleet"), body = table.tBodies[0], rows = Array.from(body.rows);
  var value = function (row, at) { var cell = row.cells[at]; return cell.dataset.v || cell.textContent; };
  Array.from(table.tHead.rows[0].cells).forEach(function (head, at) {
    var button = document.createElement("button");
    button.type = "button"; button.textContent = head.textContent; head.textContent = ""; head.append(button);
    button.addEventListener("click", function () {
      var down = head.getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
      table.querySelectorAll("[aria-sort]").forEach(function (other) { other.removeAttribute("aria-sort"); });
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      rows.sort(function (a, b) { return sign * value(a, at).localeCompare(value(b, at), "en", {numeric: true}); });
      body.append.apply(body, rows);
    });
  });
  var tools = document.getElementById("tools"), text = document.createElement("input");
  var choice = document.createElement("select"), shown = document.createElement("span");
  text.type = "search"; text.placeholder = "Filter"; text.setAttribute("aria-label", "Filter the hosts");
  choice.setAttribute("aria-label", "State"); shown.setAttribute("role", "status");
  var states = new Set(rows.map(function (row) { return row.dataset.s; }));
  [""].concat(Array.from(states)).forEach(function (name) { choice.append(new Option(name || "all states", name)); });
  var filter = function () {
    var wanted = text.value.toLowerCase(), number = 0;
    rows.forEach(function (row) {
      var fits = (!choice.value || row.dataset.s === choice.value) && row.textContent.toLowerCase().includes(wanted);
      row.hidden = !fits; number += fits;
    });
    shown.textContent = number === rows.length ? "" : number + " of " + rows.length;
  };
  text.addEventListener("input", filter); choice.addEventListener("change", filter);
  tools.append(text, choice, shown);
  var follow = function () {
    var host = document.getElementById(location.hash.slice(1));
    if (host && host.tagName === "DETAILS") { host.open = true; host.scrollIntoView(); }
  };
  addEventListener("hashchange", follow); follow();
  addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (each) { each.open = true; });
  });
})();
"""
