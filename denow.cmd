@echo off
rem Runs Deno for this project: denow.cmd task attack --mode sngp
rem Deno 2.9 or newer is taken from PATH, else from .tools\bin, where npm puts it once.
setlocal
set "root=%~dp0"
set "tools=%root%.tools"
set "pinned=2.9.6"

rem A task of deno.json that is no command of Deno's own, as test is, wants the word task before it.
for %%c in (bench compile eval pack test) do if /i "%~1"=="%%c" goto find
if "%~1"=="" goto find
findstr /r /c:"^    .%~1.: .deno " "%root%deno.json" >nul 2>nul
if errorlevel 1 goto find
echo Cannot run "%~1" by itself: it is a task of this project; type %~n0 task %~1>&2
exit /b 1

:find
call :check && goto run
set "PATH=%tools%\bin;%PATH%"
call :check && goto run

where npm >nul 2>nul
if errorlevel 1 (
  echo Cannot install Deno: npm is not on PATH; install Deno 2.9 or newer, or Node.js with npm>&2
  exit /b 1
)
echo Installing Deno %pinned% into %tools%>&2
set "work=%tools%\install.%RANDOM%%RANDOM%"
if not exist "%tools%\bin" mkdir "%tools%\bin"
mkdir "%work%"
call npm install --prefix "%work%" --no-save --no-audit --no-fund --no-package-lock --ignore-scripts --include=optional --loglevel=error deno@%pinned% >&2 <nul
for /d %%d in ("%work%\node_modules\@deno\*") do if exist "%%d\deno.exe" move /y "%%d\deno.exe" "%tools%\bin\deno.exe" >nul
rmdir /s /q "%work%"
call :check && goto run
echo Cannot install Deno: npm install deno@%pinned% failed; check the network or npm's registry setting, or install Deno 2.9 or newer>&2
exit /b 1

:run
set "INIT_CWD=%CD%"
set "DENO_NO_UPDATE_CHECK=1"
if /i "%~1"=="task" goto task
deno %*
exit /b %errorlevel%

rem Only the packages that a program imports are fetched: see denow. The arguments after "task" follow.
:task
cd /d "%root%"
set arguments=%*
deno task --node-modules-dir=manual%arguments:*task=%
exit /b %errorlevel%

rem Whether the deno found first on PATH runs and is new enough.
:check
set "found=1"
for /f "tokens=1-3 delims=. " %%a in ('deno --version 2^>nul') do if "%%a"=="deno" (
  if %%b gtr 2 set "found=0"
  if %%b equ 2 if %%c geq 9 set "found=0"
)
exit /b %found%
