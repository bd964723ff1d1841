// SPDX-License-Identifier: Apache-2.0
#include "report/style.h"

namespace quamba2::report {
namespace {

// Series colours are those of Okabe and Ito (told apart with any colour vision), the last two added; on dark they are
// lighter. Print is light always.
constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--ink:#1c2128;--soft:#5a6470;--rule:#d5dbe1;--grid:#e8ecf0;--band:#f5f7f9;
--link:#0a5fa5;--s0:#0072b2;--s1:#d55e00;--s2:#009e73;--s3:#cc79a7;--s4:#e69f00;--s5:#56b4e9;--s6:#6a4c93;--s7:#7a7a7a}
@media screen and (prefers-color-scheme:dark){:root{--bg:#14181d;--ink:#e4e8ec;--soft:#9aa5b1;--rule:#39424c;
--grid:#262d35;--band:#1c2229;--link:#79b8f0;--s0:#4aa8e0;--s1:#ff8f52;--s2:#35c79a;--s3:#e5a3c9;--s4:#f5bd4f;--s5:#a3daff;
--s6:#b59df2;--s7:#a8a8a8}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0 auto;max-width:64rem;padding:1.5rem 1rem 4rem;background:var(--bg);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.6rem 0 .3rem;padding-top:.6rem;border-top:1px solid var(--rule)}
h3{font-size:1rem;margin:1.4rem 0 .2rem;overflow-wrap:anywhere}
p{margin:.2rem 0 .8rem;color:var(--soft);max-width:46rem;overflow-wrap:anywhere}
a{color:var(--link)}
nav ul,ul.legend{list-style:none;margin:.5rem 0;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.1rem}
ul.legend li{display:flex;align-items:center;gap:.4rem;font-size:.87rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.4rem 0 1rem}
table{border-collapse:collapse;font-size:.87rem;font-variant-numeric:tabular-nums;min-width:50%}
th,td{padding:.32rem .5rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:baseline}
th{color:var(--soft);font-weight:600;border-bottom-width:2px;vertical-align:bottom}
.n{text-align:right}
td.n,.w{white-space:nowrap}
td:not(.n){max-width:26rem;overflow-wrap:anywhere}
tr.reference td{background:var(--band)}
details{margin:.6rem 0}
summary{font-weight:600;cursor:pointer;font-size:.92rem;color:var(--link);overflow-wrap:anywhere}
svg{display:block;flex:none}
.picture svg{width:100%;height:auto;min-width:600px;max-width:840px}
text{font-size:12px;fill:var(--ink)}
.tick{fill:var(--soft);font-size:11.5px}
.title{fill:var(--soft)}
.strong{font-weight:600}
.halo{paint-order:stroke;stroke:var(--bg);stroke-width:3px;stroke-linejoin:round}
.grid{stroke:var(--grid);fill:none}
.minor{stroke-opacity:.6}
.axis{stroke:var(--soft);fill:none}
.broken{stroke-dasharray:2 3}
.front{stroke:var(--soft);stroke-width:1.5;fill:none;stroke-dasharray:5 3}
.limit{stroke:var(--ink);stroke-dasharray:3 3;fill:none}
.fill{fill:var(--c)}
.rim{stroke:var(--bg);stroke-width:1}
.hollow{fill:var(--bg);stroke:var(--c);stroke-width:1.2}
.ring{fill:none;stroke:var(--ink);stroke-width:1.6}
.line{stroke:var(--c);stroke-width:1.6;fill:none;stroke-linejoin:round}
.thin{stroke-width:.6}
.piece{fill:var(--c);stroke:var(--bg);stroke-width:.75}
.s0{--c:var(--s0)}.s1{--c:var(--s1)}.s2{--c:var(--s2)}.s3{--c:var(--s3)}
.s4{--c:var(--s4)}.s5{--c:var(--s5)}.s6{--c:var(--s6)}.s7{--c:var(--s7)}
footer{margin-top:3rem;font-size:.87rem}
@media print{body{max-width:none;padding:0;font-size:11pt}nav{display:none}
h2,h3,p,ul.legend,summary{break-after:avoid}.picture,tr,ul.legend{break-inside:avoid}.scroll{overflow:visible}.picture svg{min-width:0}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";

}  // namespace

std::string_view style_sheet() { return kStyle; }

}  // namespace quamba2::report
