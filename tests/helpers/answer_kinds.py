r"""More pairs of gold and answer than answer_pairs.py has: neighbours of every kind that was once decided wrongly.

In each text a pair is `gold || answer`, and `;;` or a new line parts pairs.
"""

import re


def pairs(text: str) -> list[tuple[str, str]]:
    rows = (row.split(" || ") for row in re.split(r"\n|  ;;  ", text.strip()))
    return [(gold.strip(), answer.strip()) for gold, answer in rows]


_EQUAL = r"""
    1/2 || \dfrac12  ;;  -\frac{1}{2} || \frac{-1}{2}  ;;  -\frac{1}{2} || \frac{1}{-2}  ;;  -\frac12 || -1/2
    -\frac12 || \left(-\frac{1}{2}\right)  ;;  -\frac12 || -{1\over2}  ;;  -\frac12 || -0.5  ;;  1\frac12 || 1.5
    -1\frac12 || -\frac32  ;;  2 \frac{3}{4} || \frac{11}{4}  ;;  3.0e-4 || 3 \times 10^{-4}  ;;  1.5E3 || 1500
    1.2\cdot10^{3} || 1200  ;;  10^6 || 1{,}000{,}000  ;;  1,000,000 || 10^{6}  ;;  1,000,000 || one million
    1.234.567 || 1234567  ;;  1'234'567 || 1234567  ;;  1 234 567 || 1234567  ;;  1\,234\,567 || 1234567
    1234567.5 || 1,234,567.5  ;;  0.\overline{142857} || \frac17  ;;  0.1\overline{6} || \frac16
    0.\dot{1}\dot{2} || \frac{4}{33}  ;;  0.\overline{27} || \frac{3}{11}  ;;  \sqrt{\sqrt{16}} || 2
    \sqrt{2+\sqrt{3}} || \frac{\sqrt6+\sqrt2}{2}  ;;  \sqrt[3]{27} || 3  ;;  \sqrt[3]{-27} || -3  ;;  8^{2/3} || 4
    \sin 30^\circ || \frac12  ;;  \sin(\pi/6) || 0.5  ;;  \cos 60^{\circ} || 1/2  ;;  \sin^{-1}(1) || \frac{\pi}{2}
    \tan^{-1}(1) || \pi/4  ;;  60^\circ || \frac{\pi}{3}  ;;  60 || 60 \text{ degrees}  ;;  60^\circ || 60°
    90^{\circ} || 90  ;;  \log_2 8 || 3  ;;  \log_{10}1000 || 3  ;;  \log_{2}(3) || \frac{\ln 3}{\ln 2}
    \log_2 3 || \frac{\log 3}{\log 2}  ;;  \ln(e^2) || 2  ;;  |{-3}| || 3  ;;  \lfloor 2.5 \rfloor || 2
    \left\lceil \frac{7}{2}\right\rceil || 4  ;;  5! || 120  ;;  \frac{8!}{6!} || 56  ;;  \binom{5}{2} || 10
    {5 \choose 2} || 10  ;;  3+4i || 4i+3  ;;  (1+i)^2 || 2i  ;;  \frac{1}{i} || -i  ;;  e^{i\pi} || -1
    |3+4i| || 5  ;;  \infty || +\infty  ;;  (-\infty,\infty) || \mathbb{R}
    (-\infty,\infty) || \text{all real numbers}  ;;  [0,\infty) || x \ge 0
    (-\infty,-1]\cup[1,\infty) || x\le -1 \text{ or } x \ge 1  ;;  (-\infty,-1)\cup(1,\infty) || |x|>1
    (1,3) || 1<x<3  ;;  (1,3) || x>1 \text{ and } x<3  ;;  [1,3] || \{x \mid 1\le x\le 3\}
    [1,3] || \{x\in\mathbb{R} : 1\le x\le 3\}  ;;  x^2-4>0 || |x|>2  ;;  x=2 || 2  ;;  x=2 \text{ or } x=3 || 2, 3
    x=2, 3 || 2,3  ;;  2,3 || x=2\text{ or }x=3  ;;  2,3 || \{2,3\}  ;;  \{2,3\} || x\in\{2,3\}
    x\in\{2,3\} || \{3,2\}  ;;  2 \text{ and } 3 || 3, 2  ;;  2; 3 || 2, 3  ;;  (1,2) || (1, 2)
    (1,2) || \left( 1 , 2 \right)  ;;  (1,2) || \langle 1,2\rangle  ;;  (1,2,3) || \langle 1, 2, 3 \rangle
    (1,2,3) || (x,y,z)=(1,2,3)  ;;  (1,2,3) || x=1, y=2, z=3
    \begin{pmatrix}1\\2\end{pmatrix} || \begin{bmatrix}1\\2\end{bmatrix}
    \begin{pmatrix}1/2\\2\end{pmatrix} || \begin{pmatrix}0.5\\2\end{pmatrix}
    \begin{vmatrix}1&2\\3&4\end{vmatrix} || -2  ;;  (x+1)(x-1) || x^2-1  ;;  x^3-1 || (x-1)(x^2+x+1)
    \frac{x^2-1}{x-1} || x+1  ;;  \frac{a}{b}+\frac{c}{d} || \frac{ad+bc}{bd}  ;;  2xy || 2yx
    y=3x-2 || 3x-y-2=0  ;;  y=3x-2 || 3x-y=2  ;;  y=3x-2 || y = -2+3x  ;;  x^2+y^2=4 || y^2+x^2-4=0  ;;  3:4 || 3/4
    3:4 || 6:8  ;;  1:2:3 || 2:4:6  ;;  3 \text{ to } 4 || 3:4  ;;  50\% || 0.5  ;;  50\% || 50 percent
    50 || 50\%  ;;  \frac12 || 50\%  ;;  \$5 || 5  ;;  \$5.00 || 5  ;;  \$1,000 || 1000  ;;  5 || \$5
    5 \text{ dollars} || \$5  ;;  10 \text{ cm} || 10  ;;  10 \text{ cm} || 10\,\mathrm{cm}
    10 \text{ cm} || 10 centimeters  ;;  10 \text{ cm} || 10cm  ;;  10 \text{ cm}^2 || 10 \text{ square centimeters}
    10 \text{ m/s} || 10 \text{ meters per second}  ;;  10 \mathrm{m/s^2} || 10\ \mathrm{m\,s^{-2}}
    100 \text{ km/h} || 100 \text{ kilometers per hour}
    2 \text{ hours } 30 \text{ minutes} || 2 \text{ h } 30 \text{ min}
    2\text{ hours and }30\text{ minutes} || 2\text{ hours }30\text{ minutes}  ;;  5 \text{ apples} || 5
    5 || 5 apples  ;;  5 || 5 \text{ people}  ;;  Yes || \text{yes}  ;;  yes || YES  ;;  No || \text{no}
    True || \text{True}  ;;  \text{False} || false  ;;  \text{no solution} || No solution
    \text{no solution} || \text{no solutions}  ;;  \text{None} || none  ;;  \text{DNE} || dne
    \text{DNE} || does not exist  ;;  \emptyset || \varnothing  ;;  \emptyset || \{ \}  ;;  A || \text{A}
    A || (A)  ;;  (A) || A  ;;  A || \textbf{A}  ;;  A || \text{(A)}  ;;  A || \mathrm{A}  ;;  B || B)
    B || B. 12  ;;  B || (B) 12  ;;  12 || (B) 12  ;;  \text{(B)} || \textbf{(B)}\ 12  ;;  (E) || E
    E || \textbf{(E)}\ 24  ;;  24 || \textbf{(E)}\ 24  ;;  3:30 \text{ PM} || 3:30 pm
    3:30 \text{ PM} || 3:30 p.m.  ;;  3:30 || 3:30 PM  ;;  \text{March 5} || March 5  ;;  \text{March 5} || 5 March
    \text{Monday} || monday  ;;  \text{even} || Even  ;;  1010_2 || 1010_{2}  ;;  1010_2 || 1010_{\text{two}}
    1010_2 || 1010  ;;  AB_{16} || AB_{16}  ;;  \mathbf{v} || \vec{v}
    \mathbf{i}+2\mathbf{j} || \hat{i}+2\hat{j}  ;;  \mathbf{i}+2\mathbf{j} || \vec{i}+2\vec{j}
    2\mathbf{i} - 3\mathbf{j} || -3\mathbf{j}+2\mathbf{i}  ;;  2\vec{a}+\vec{b} || \vec b + 2\vec a
    x_1 || x_{1}  ;;  a_n = 2n+1 || 2n+1  ;;  a_n=2n+1 || a_n = 1+2n  ;;  f(x)=x^2+1 || f(x) = 1+x^2
    f(x) = x^2+1 || x^2+1  ;;  \frac{\pi}{4}+k\pi, k\in\mathbb{Z} || k\pi+\frac{\pi}{4}, k \in \mathbb{Z}
    \pi r^2 || r^2\pi  ;;  4\pi R^3/3 || \frac{4}{3}\pi R^3  ;;  \pm\sqrt{3} || \sqrt3, -\sqrt3  ;;  x=\pm 3 || 3,-3
    x = 1\pm\sqrt{2} || 1-\sqrt2,1+\sqrt2  ;;  \frac{-1\pm\sqrt{5}}{2} || \frac{-1+\sqrt5}{2},\frac{-1-\sqrt5}{2}
    \sum_{k=1}^{100} k || 5050  ;;  \prod_{k=1}^{4} k || 24  ;;  \lim_{x\to 0}\frac{\sin x}{x} || 1
    \int_0^1 x^2\,dx || \frac13  ;;  \int_0^1 x^2 dx || 1/3  ;;  \gcd(12,18) || 6  ;;  \text{lcm}(4,6) || 12
    \max(3,5) || 5  ;;  n! || n\cdot(n-1)!  ;;  \binom{n}{2} || \frac{n(n-1)}{2}  ;;  2^{n+1} || 2\cdot 2^n
    (-1)^n || \cos(n\pi)  ;;  \tan x || \frac{\sin x}{\cos x}  ;;  \sin 2x || 2\sin x\cos x
    \cos 2x || 1-2\sin^2 x  ;;  \sinh x || \frac{e^x-e^{-x}}{2}  ;;  e^{x+y} || e^xe^y  ;;  \ln(xy^{-1}) || \ln(x/y)
    x\equiv 3\pmod 5 || x \equiv 8 \pmod{5}  ;;  3 \pmod 5 || x\equiv 3 \pmod 5  ;;  \frac{3}{5} || 0.6
    \frac35 || 0.60  ;;  0.6 || \frac{3}{5}  ;;  \pi || 3.141593  ;;  \sqrt{2} || 1.414214
    \sqrt{2} || \approx 1.414214  ;;  e^2 || 7.389056  ;;  \frac{\sqrt{3}}{2} || 0.866025  ;;  \boxed{5} || 5
    5 || \boxed{5}  ;;  \text{The answer is } 5 || 5  ;;  5 || The answer is 5  ;;  5 || The answer is $5$.
    5 || = 5  ;;  5 || x = 5  ;;  5 || n=5.  ;;  1st || 1  ;;  3^{\text{rd}} || 3  ;;  \text{three} || 3
    3 || three  ;;  \frac{1}{2},\frac{1}{3} || \frac13,\frac12  ;;  (0,1),(1,0) || (1,0),(0,1)
    \{(0,1),(1,0)\} || (1,0), (0,1)  ;;  (2,-1) \text{ and } (1,3) || (1,3),(2,-1)  ;;  a=1, b=2 || (1,2)
    a=1,b=2,c=3 || a = 1, c = 3, b = 2  ;;  a = 1 \text{ and } b = 2 || a=1, b=2  ;;  \overline{AB} || \overline{AB}
    \angle ABC = 30^\circ || 30  ;;  \frac{\sqrt{2}}{2} || \frac{1}{\sqrt{2}}  ;;  \cos\theta || \cos(\theta)
    x>2 || x \in (2,\infty)  ;;  2<x || x>2  ;;  -1\le x<1 || [-1,1)  ;;  x \neq 0 || (-\infty,0)\cup(0,\infty)
    \mathbb{R}\setminus\{0\} || x\ne 0  ;;  x \le -3 \text{ or } x \ge 3 || (-\infty,-3]\cup[3,\infty)
    x^2 > 9 || x<-3 \text{ or } x>3  ;;  5^\circ C || 5^\circ\text{C}
    5^\circ\text{C} || 5 \text{ degrees Celsius}  ;;  12\text{ in} || 12 inches  ;;  3 \text{ ft} || 3 feet
    8\pi \text{ cm}^3 || 8\pi  ;;  8\pi || 8\pi \text{ cubic units}
    24\sqrt{3} || 24\sqrt{3}\text{ square units}  ;;  120^{\circ} || 120 degrees  ;;  2.50 || \$2.5
    75 \text{ cents} || 75  ;;  25 \% || 25\%  ;;  25 || 25 percent  ;;  2^{-3} || \frac18  ;;  (-2)^3 || -8
    -2^2 || -4  ;;  2\cdot 3\cdot 5 || 30  ;;  2^3\cdot 3 || 24  ;;  100! || 100!  ;;  \frac{1}{100!} || 1/100!
    x^{-1} || \frac1x  ;;  \sqrt{x} || x^{1/2}  ;;  x^{\frac{2}{3}} || \sqrt[3]{x^2}
    \{1,2,3,...,10\} || \{1,2,3,\ldots,10\}  ;;  1,2,3,\dots || 1,2,3,\ldots  ;;  3x+4y=5 || 6x+8y=10
    y-1=2(x-3) || y=2x-5  ;;  (x-1)^2+(y+2)^2=9 || (x-1)^2+(y-(-2))^2=3^2  ;;  \frac{x}{2}+\frac{y}{3}=1 || 3x+2y=6
    x=3 || x-3=0  ;;  r = 2\cos\theta || 2\cos\theta = r  ;;  t = 5 \text{ s} || 5
    v = 3 \text{ m/s} || 3\ \mathrm{m/s}  ;;  v=3\text{ m/s} || v=3  ;;  12 \text{ square feet} || 12 \text{ ft}^2
    5,\!000 || 5000  ;;  \$ 5,\!000 || 5000  ;;  ２/３ || \frac23  ;;  ½ || 0.5  ;;  2½ || 2.5  ;;  x² + y² || x^2+y^2
    √(16) || 4  ;;  ∛8 || 2  ;;  3 × 4 || 12  ;;  12 ÷ 4 || 3  ;;  x ∈ {1, 2} || \{1,2\}  ;;  x ≥ 5 || [5,\infty)
    (−∞, 2) || x<2  ;;  θ || \theta
    \sqrt2 || \sqrt{2}\approx1.414  ;;  \frac13 || \frac{1}{3}\approx 0.333
    x=\sqrt2 || x = \sqrt{2} \approx 1.41  ;;  \sqrt2 || x = \sqrt{2} \approx 1.41  ;;  2.35 || x\approx 2.35
    \frac{100}{7} || \frac{100}{7} \approx 14.29  ;;  50 || = 50  ;;  (-1,0)\cup(0,1) || -1<x<1, x\ne 0
    (1,2) || \begin{cases}x=1\\y=2\end{cases}  ;;  x=1,y=2 || \begin{cases} x = 1 \\ y = 2 \end{cases}
    1.6\times10^{-19}\ \mathrm{C} || 1.6\times10^{-19}  ;;  120 || 120\ \Omega  ;;  2m || m+m  ;;  x || \mathbf{x}
    17 || a+b=17  ;;  17 || m + n + p = 17  ;;  17 || 2a+b = 2\cdot 5+7 = 17  ;;  A, C || A and C  ;;  A,C || C, A
    \frac{dy}{dx} = 2x || \frac{dy}{dx}=x+x  ;;  f'(x)=2x || f'(x) = x\cdot 2  ;;  y''+y=0 || y'' = -y
    (\pm 2, 3) || (2,3),(-2,3)  ;;  1,-1,i,-i || \pm1,\pm i  ;;  6:8 || 3:4  ;;  AB || BA
    \{1,2\} || \{2,1,1\}  ;;  S = 2+3 = 5 || 5  ;;  x=2 || 2x=4  ;;  -\frac{\pi}{4}+2k\pi || 2\pi k-\frac{\pi}{4}
    \frac{1}{2} || \frac{1}{2}\text{.}  ;;  90 || 90^\circ.  ;;  5 || 5 \text{ cm}.  ;;  5 || \text{5}
    5 || \text{five}  ;;  3/4 || \frac{3}{4}\text{ cup}  ;;  3/4 || 75\%  ;;  \text{Friday} || Friday
    x^2 + C || x^2 + c  ;;  C_1e^x+C_2e^{-x} || c_1e^{x}+c_2e^{-x}  ;;  \ln|x|+C || \ln |x| + c
    7\text{ PM} || 7:00 \text{ p.m.}  ;;  12\text{ noon} || 12 noon  ;;  \frac{\sqrt{3}}{3} || \tan 30^\circ
    2\cos 20^\circ || 2\cos\left(\frac{\pi}{9}\right)  ;;  1+\frac{1}{2}+\frac13 || \frac{11}{6}
    \sqrt{50} || 5\sqrt{2}  ;;  x^2-2x+1 || (1-x)^2  ;;  -x+3 || 3-x  ;;  \frac{x+1}{2} || \frac{x}{2}+\frac12
    \log_{10} 100 || 2  ;;  4^{1/2} || 2  ;;  1.0 || 1  ;;  +5 || 5  ;;  \left|{-5}\right| || 5
    \{x | x > 3\} || (3,\infty)  ;;  x \geq 2 || 2 \leq x  ;;  (2,\infty) || \{x: x>2\}
    \infty || \text{infinity}  ;;  \infty || infinity  ;;  \text{undefined} || undefined
    \text{No real solutions} || no real solutions  ;;  $5 || 5  ;;  5$ || 5  ;;  \(5\) || 5  ;;  "5" || 5
    `5` || 5  ;;  5 units || 5  ;;  5 || 5 \text{ units}  ;;  5 || 5\ \text{square units}
    25\pi || 25\pi \text{ sq in}  ;;  25\pi || 25 \pi \mathrm{~cm}^2  ;;  x = 5 || The value of $x$ is $5$.
    5 || Therefore, the answer is $5$  ;;  5 || The final answer is: 5
"""

_DIFFERENT = r"""
    1/2 || 2  ;;  -\frac12 || \frac12  ;;  1\frac12 || \frac{1}{2}  ;;  1\frac12 || 11/2
    2\frac{3}{4} || \frac{6}{4}  ;;  3e4 || 3e5  ;;  0.\overline{3} || 0.3  ;;  0.\overline{3} || 0.33333333
    0.3 || 0.33  ;;  1.234.567 || 1.234  ;;  \sqrt{2} || 1.4142  ;;  \sqrt2 || \sqrt3  ;;  \sin 30 || \frac12
    \cos 60 || \cos 60^\circ  ;;  \cos 60^\circ || \cos 60  ;;  60^\circ || \frac{\pi}{6}
    30^\circ || 30 \text{ rad}  ;;  \log_2 8 || \log_8 2  ;;  \ln 2 || \log_{10} 2  ;;  |x| || x
    \lfloor 2.5\rfloor || 3  ;;  5! || 5  ;;  3+4i || 4+3i  ;;  3+4i || 3+4j  ;;  i || 1  ;;  (1,2) || (2,1)
    [1,2] || [1,2)  ;;  (1,2] || [1,2)  ;;  (1,3) || 1\le x\le3  ;;  x>1 || x\ge 1  ;;  x>1 || y>1  ;;  x>1 || x<1
    x\ne 1 || x=1  ;;  |x|>1 || |x|<1  ;;  2,3 || 2  ;;  2,3 || 2,3,4  ;;  2,3 || 23  ;;  2,2 || 2
    \{1,2\} || (1,2)  ;;  \{1,2\} || [1,2]
    \begin{pmatrix}1&2\\3&4\end{pmatrix} || \begin{pmatrix}1&3\\2&4\end{pmatrix}
    \begin{pmatrix}1\\2\end{pmatrix} || (1,2)_2  ;;  x+1 || X+1  ;;  x^2 || x^3  ;;  xy || x+y  ;;  y=3x-2 || y=3x+2
    x^2+y^2=4 || x^2+y^2=2  ;;  3:4 || 4:3  ;;  3:4 || 3:5  ;;  1:2:3 || 1:3:2  ;;  50\% || 5  ;;  50\% || 0.05
    \$5 || 5 \text{ cents}  ;;  \$5 || \text{€}5  ;;  10 \text{ cm} || 10 \text{ m}
    10 \text{ cm}^2 || 10 \text{ cm}  ;;  10 \text{ m/s} || 10 \text{ m/s}^2
    2 \text{ hours } 30 \text{ minutes} || 2 \text{ hours } 45 \text{ minutes}
    5 \text{ apples} || 5 \text{ oranges}  ;;  5 || 5 or 6  ;;  5 || 5 \text{ or more}  ;;  5 || 5 at most
    5 || \text{about } 6  ;;  5 || 5\text{ thousand}  ;;  5 || 5 \text{ halves}  ;;  5 || 5 hundreds
    5 || 5\text{ pairs}  ;;  5 || 5 \text{ minus 1}  ;;  5 || \text{not } 5  ;;  5 || -5  ;;  5 || 5, 6
    5 || 5/1/2  ;;  5 || 5i  ;;  5 || 5x  ;;  5 || 5_7  ;;  5 || 5'  ;;  5 || 5''  ;;  5 || 5^\circ C + 1
    5 || 5...  ;;  5 || 5\dots  ;;  5 || 5+\ldots  ;;  5 || \{5,6\}  ;;  5 || 5\text{ if }x>0
    5 || 5 \text{ when } n \text{ is even}  ;;  5 || 5\neq  ;;  5 || \neq 5  ;;  5 || x \neq 5  ;;  5 || x>5
    5 || x\approx 5.1  ;;  5 || 2x=5  ;;  5 || x^2=5  ;;  5 || x+1=5  ;;  5 || 5=6  ;;  5 || 5=5=6  ;;  6 || 5=6
    Yes || No  ;;  Yes || \text{Yes or no}  ;;  True || False  ;;  True || not true
    \text{no solution} || \text{one solution}  ;;  A || B  ;;  A || A or B  ;;  A || \text{A and B}
    A || (A) or (B)  ;;  A || \text{not A}  ;;  B || (C) 12  ;;  12 || (B) 13  ;;  A || AB  ;;  A || A, B
    3:30 \text{ PM} || 3:30 AM  ;;  3:30 || 3:31  ;;  3:30 || 4:30  ;;  \text{March 5} || \text{March 6}
    \text{March 5} || \text{May 5}  ;;  \text{Monday} || \text{Tuesday}  ;;  1010_2 || 1010_3  ;;  1010_2 || 1011_2
    1010 || 1010_2  ;;  \mathbf{v} || \mathbf{w}  ;;  \mathbf{i}+2\mathbf{j} || 2\mathbf{i}+\mathbf{j}
    \mathbf{i} || i  ;;  3\mathbf{i} || 3i  ;;  x_1 || x_2  ;;  x_1 || x1  ;;  a_n=2n+1 || a_n=2n-1
    f(x)=x^2 || g(x)=x^2  ;;  \pi r^2 || \pi R^2  ;;  \pm 3 || 3  ;;  \pm 3 || -3  ;;  3 || \pm 3
    \sum_{k=1}^{100} k || \sum_{k=1}^{99} k  ;;  \sum_{k=1}^{n} a_k || n a_k
    \frac{\pi}{4}+k\pi || \frac{\pi}{4}+2k\pi  ;;  x\equiv 3\pmod 5 || x\equiv 3\pmod 7
    x\equiv 3\pmod 5 || x\equiv 4\pmod 5  ;;  a=1, b=2 || a=2, b=1  ;;  a=1, b=2 || (2,1)
    (0,1),(1,0) || (0,0),(1,1)  ;;  100! || 99!  ;;  \frac{1}{100!} || \frac{1}{101!}  ;;  2^{1000} || 2^{1001}
    2^{100000} || 2^{100001}  ;;  10^{1000}+1 || 10^{1000}  ;;  \sqrt{2}+10^{-50} || \sqrt{2}  ;;  x || \chi
    \alpha || a  ;;  \beta || B  ;;  \mu || m  ;;  \phi || \psi  ;;  k || K  ;;  GMm || gmm  ;;  ABC || abc
    \Gamma || \gamma  ;;  v || \nu  ;;  \omega || w  ;;  \rho || p  ;;  \sqrt{x^2} || x  ;;  \frac{1}{2x} || 1/2x
    \ln x^2 || 2 \ln |x| + 1  ;;  12:30 || 12:03  ;;  2:15 || 15:2
    5 \text{ ft } 3 \text{ in} || 5 \text{ ft } 4 \text{ in}  ;;  5 \text{ million} || 5 \text{ thousand}
    5 \text{ dozen} || 5  ;;  5 \text{ K} || 5 ^\circ\text{C}  ;;  5 \mathrm{kg} || 5 \mathrm{g}
    5 \mathrm{mg} || 5 \mathrm{Mg}  ;;  5 \mathrm{mL} || 5 \mathrm{L}  ;;  5 \mathrm{kJ} || 5 \mathrm{J}
    5 \mathrm{MeV} || 5 \mathrm{meV}  ;;  5 \mathrm{MHz} || 5 \mathrm{mHz}  ;;  10\text{ N} || 10 \text{ J}
    x || x'  ;;  f'(x) || f(x)  ;;  f(x+1)-f(x) || f  ;;  \overline{AB} || \overline{AC}
    AB \parallel CD || AB \perp CD  ;;  a \mid b || b \mid a  ;;  p \wedge q || p \vee q  ;;  A^T || A^{-1}
    \{1,2,\ldots,10\} || \{1,2,\ldots,9\}  ;;  \mathbb{Z} || \mathbb{N}  ;;  \mathbb{Q} || \mathbb{R}
    2\pi || 2p  ;;  10^{5} || 105  ;;  2^{10} || 210  ;;  x^{12} || x^1 2  ;;  \frac{12}{5} || 12.5
    3\frac{1}{5} || 3.5  ;;  1,5 || 1.5  ;;  1,500 || 1.5  ;;  1.500 || 1500  ;;  0,5 || 0.5  ;;  12,34 || 1234
    (1,234) || 1234  ;;  (1,234) || (1234)  ;;  \{1,234\} || \{1234\}  ;;  C_1 V || c_1 V
    \frac{C_1}{C_2} || \frac{c_1}{c_2}  ;;  E || e  ;;  I || i  ;;  T || t  ;;  5 || (5,6)  ;;  5 || (A) 5 or (B) 6
    5 || \boxed{5}\boxed{6}  ;;  x=1, y=2 || x=1, y=3  ;;  x = 1 || x = 1, 2  ;;  \text{Alice} || \text{Bob}
    \text{two} || 3  ;;  \text{all integers} || \text{all real numbers}  ;;  (-\infty,\infty) || \text{all integers}
    [0,1) || (0,1)  ;;  [0,1]\cup[2,3] || [0,3]  ;;  (0,1)\cup(1,2) || (0,2)  ;;  \{0\}\cup[1,2] || [0,2]
    x<1 \text{ or } x>2 || 1<x<2  ;;  x<1 \text{ or } x>2 || x<1 \text{ and } x>2
    \sqrt2 || \sqrt{2}\approx1.5  ;;  5 || 5 \approx 6  ;;  6 || 5 \approx 6  ;;  5 || 3x+4y=5  ;;  0 || 2x-y+3=0
    A and C || A or C  ;;  \text{Yes and No} || Yes or no  ;;  1:00 || \frac10  ;;  4 || 12:03  ;;  0,1 || 1,000
    (B) 12 || (B) 13  ;;  \frac{d}{dx} || \frac1x  ;;  \frac{dx}{dt} || \frac{x}{t}  ;;  I(0)e^{-t} || 0
    y(0) || 0  ;;  2m || 2  ;;  2 \mathrm{A} || 3 \mathrm{A}  ;;  x^2+C || x^2-c  ;;  x^2+C || x^2+2C
    C_1e^x+C_2e^{-x} || c_2e^{x}+c_1e^{-2x}  ;;  5\text{ PM} || 5\text{ AM}  ;;  7:00 \text{ PM} || 7:00
    5 || The answer is not 5  ;;  5 || The answer is 5 or 6  ;;  5 || The answer is more than 5
    5 || one of 5 and 6  ;;  5 || The smaller is 5 and the larger is 6  ;;  5 || 5 sec 2 min
    3 || 3\text{ times}  ;;  3 || twice 3  ;;  3 || half of 3  ;;  3 || \frac{3}{}  ;;  3 || 3^{}  ;;  3 || 3_{}
    3 || {3  ;;  3 || 3}  ;;  3 || 3\\4  ;;  3 || 3;4  ;;  3 || 3|4  ;;  3 || 3&4  ;;  3 || #3  ;;  3 || @3
    3 || ~3~4  ;;  3 || 3\text{m}\text{k}  ;;  3 || \int 3  ;;  3 || \sum 3  ;;  3 || \log 3  ;;  3 || \vec{3}
    3 || \bar{3}  ;;  3 || \overline{3}  ;;  3 || 3\bar{3}  ;;  3 || 0.3  ;;  3 || .3  ;;  3 || 3.0.0
    3 || 3..4
"""
EQUAL, DIFFERENT = pairs(_EQUAL), pairs(_DIFFERENT)
